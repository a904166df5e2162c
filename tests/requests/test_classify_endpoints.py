"""The row function against endpoints that are away, locked, or lack something."""

import logging
import pickle

import pytest

from semtel_dagster.loopback.script import Script
from semtel_dagster.settings import EndpointSettings
from tests.requests.builders import endpoint, plan, run, texts

pytestmark = pytest.mark.timeout(60)

QUICK = {"median_s": 0.01, "sigma": 0.3}


def test_an_endpoint_that_fails_is_left_for_the_others(server, tmp_path):
    server.set_script(Script(latency=QUICK))
    dead = endpoint("http://127.0.0.1:9/v1", name="dead")
    table, figures = run(plan(tmp_path, dead, endpoint(server.base_url, name="alive")), texts(300))
    assert set(table["endpoint"].to_pylist()) == {"alive"}
    assert figures.endpoints[0].fault == "unreachable"
    assert figures.endpoints[0].calls < 60


def test_nothing_to_be_reached_ends_every_row_with_the_reason(tmp_path):
    table, _ = run(plan(tmp_path, endpoint("http://127.0.0.1:9/v1"), give_up_s=1.0), texts(30))
    assert {(row["status"], row["error"]) for row in table.to_pylist()} == {("failed", "unreachable")}


def test_a_wrong_key_ends_every_row_with_the_reason(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MADE_UP", "wrong")
    server.set_script(Script(api_key="right"))
    table, figures = run(plan(tmp_path, endpoint(server.base_url, api_key_env="MADE_UP")), texts(30))
    assert {row["error"] for row in table.to_pylist()} == {"unauthorized (HTTP 401)"}
    assert figures.calls < 60


@pytest.mark.parametrize("kind", ["openai", "azure"])
def test_the_key_opens_the_endpoint_and_is_shown_nowhere(server, tmp_path, monkeypatch, caplog, kind):
    monkeypatch.setenv("MADE_UP", "made-up-key-123")
    server.set_script(Script(api_key="made-up-key-123"))
    base = server.base_url if kind == "openai" else server.root_url
    fields = {"api_version": "2024-10-21"} if kind == "azure" else {}
    a_plan = plan(
        tmp_path, EndpointSettings(name="k", kind=kind, base_url=base, model="m", api_key_env="MADE_UP", **fields)
    )
    with caplog.at_level(logging.DEBUG):
        table, figures = run(a_plan, texts(5))
    assert figures.answered == 5
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for shown in (repr(a_plan), caplog.text, repr(figures), str(table.to_pylist())):
        assert "made-up-key" not in shown
    assert b"made-up-key" not in written + pickle.dumps(a_plan)


def test_a_missing_key_is_told_before_any_call(tmp_path):
    from semtel_dagster.errors import SettingsError

    with pytest.raises(SettingsError, match="NO_SUCH_KEY"):
        run(plan(tmp_path, endpoint("http://127.0.0.1:9/v1", api_key_env="NO_SUCH_KEY")), texts(1))


def test_what_an_endpoint_lacks_is_found_once_and_remembered(server, tmp_path):
    server.set_script(Script(structured_outputs=False, unsupported_parameters=("max_tokens",)))
    a_plan = plan(tmp_path, endpoint(server.base_url), start_in_flight=1)
    table, figures = run(a_plan, texts(10))
    assert set(table["status"].to_pylist()) == {"answered"}
    assert 10 < figures.calls <= 14
    _, figures = run(a_plan, texts(20))
    assert figures.calls == 10
