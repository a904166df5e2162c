"""The scripted server that packs are asked of."""

import pytest

from semtel_dagster.loopback.process import serve
from tests.packing.answers import script


@pytest.fixture(scope="module")
def server():
    with serve(script()) as running:
        yield running


@pytest.fixture
def fresh(server):
    """The server with nothing counted."""
    server.set_script(script())
    server.reset()
    return server
