"""Fixtures that several rooms' tests share: a labelled project, copied for each test that changes it; the command."""

import sqlite3

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from tests.command import semtel_here
from tests.living import copy_of, labelled_template, local_instance


@pytest.fixture(scope="session", autouse=True)
def dagster_does_not_wait_for_the_disk():
    """Its SQLite files outlive a killed process as before, but not a power cut: half of a graph test's time."""

    def at_once(connection, _):
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", at_once)
    yield
    event.remove(Engine, "connect", at_once)


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


@pytest.fixture
def semtel(tmp_path, capsys):
    """Runs the command in the test's folder; gives its exit code and what it printed."""
    with semtel_here(tmp_path, capsys) as run:
        yield run
