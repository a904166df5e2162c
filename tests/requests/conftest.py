"""Servers that the tests ask: one whose script a test may change, and one over TLS with what trusts it."""

import pytest

from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from tests.requests.certificates import certificate


@pytest.fixture(scope="module")
def server():
    """A module's own; a test that needs a script of its own sets it."""
    with serve(Script()) as running:
        yield running


@pytest.fixture(scope="session")
def issued(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("certificate"), "127.0.0.1", "llm.internal")


@pytest.fixture(scope="session")
def secure(issued):
    """A server over TLS; its script stays as it is."""
    with serve(certificate=issued.pair, trusted=issued.trusted) as running:
        yield running


@pytest.fixture
def trusted(issued, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(issued.trusted))
