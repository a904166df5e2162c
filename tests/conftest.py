"""Fixtures that several rooms' tests share: a project that is all labelled, copied for each test that changes it."""

import pytest

from tests.living import copy_of, labelled_template, local_instance


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """Labelled once a session, since that takes seconds."""
    return labelled_template(tmp_path_factory.mktemp("labelled"))


@pytest.fixture
def labelled(template, tmp_path):
    """The settings and the instance of a project whose weeks are all labelled."""
    settings = copy_of(template, tmp_path)
    with local_instance(tmp_path) as opened:
        yield settings, opened
