import pytest

from semtel_dagster.loopback.script import Script
from semtel_dagster.requests.check import check_endpoint
from semtel_dagster.requests.explaining import explain
from semtel_dagster.requests.reply import read_reply
from semtel_dagster.settings import EndpointSettings
from tests.requests.builders import endpoint, plan


def findings(server, tmp_path, script, **fields):
    server.set_script(script)
    one = endpoint(server.base_url, **fields)
    return [(finding.level, finding.text) for finding in check_endpoint(one, plan(tmp_path, one))]


def test_an_endpoint_that_answers_is_fine(server, tmp_path):
    ((level, text),) = findings(server, tmp_path, Script())
    assert level == "ok"
    assert "m answers at" in text


def test_an_unknown_model_is_told_with_the_known_ones(server, tmp_path):
    ((level, text),) = findings(server, tmp_path, Script(models=("small", "large")))
    assert level == "error"
    assert "knows no model 'm'" in text
    assert "large, small" in text


def test_a_wrong_key_is_told_by_its_variable_and_never_shown(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MADE_UP", "wrong-secret")
    ((level, text),) = findings(server, tmp_path, Script(api_key="right"), api_key_env="MADE_UP")
    assert level == "error"
    assert "MADE_UP" in text
    assert "wrong-secret" not in text


def test_a_missing_key_is_told(server, tmp_path):
    ((level, text),) = findings(server, tmp_path, Script(), api_key_env="NO_SUCH_KEY")
    assert (level, "export it" in text) == ("error", True)


def test_what_is_lacking_is_a_note(server, tmp_path):
    found = findings(server, tmp_path, Script(structured_outputs=False, unsupported_parameters=("max_tokens",)))
    assert [level for level, _ in found] == ["ok", "note", "note"]


def test_nothing_listening_is_told_with_the_address(tmp_path):
    one = endpoint("http://127.0.0.1:9/v1")
    (finding,) = check_endpoint(one, plan(tmp_path, one))
    assert finding.level == "error"
    assert "nothing listens at http://127.0.0.1:9/v1" in finding.text


def test_a_web_page_is_no_endpoint(server, tmp_path):
    ((level, text),) = findings(server, tmp_path, Script(faults={"html_200": 1.0}))
    assert (level, "/v1" in text) == ("error", True)


def test_the_embedded_model_needs_its_factory(tmp_path):
    one = EndpointSettings(name="embedded", kind="embedded")
    assert check_endpoint(one, plan(tmp_path, one))[0].level == "error"
    assert check_endpoint(one, plan(tmp_path, one, local_model=object))[0].level == "ok"


def test_a_name_that_no_host_has_is_told(tmp_path):
    one = endpoint("http://no.such.host.invalid/v1")
    (finding,) = check_endpoint(one, plan(tmp_path, one))
    assert (finding.level, "no host has the name in" in finding.text) == ("error", True)


def test_an_unknown_azure_deployment_is_told_with_the_version(server, tmp_path):
    server.set_script(Script(models=("other",)))
    fields = {"api_version": "2024-10-21", "api_key_env": "MADE_UP"}
    one = EndpointSettings(name="one", kind="azure", base_url=server.root_url, model="mine", **fields)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MADE_UP", "made-up-key")
        (finding,) = check_endpoint(one, plan(tmp_path, one))
    assert finding.level == "error"
    assert "no deployment 'mine', or not in api_version 2024-10-21" in finding.text


@pytest.mark.parametrize(
    ("script", "level", "words"),
    [
        (Script(faults={"error_500": 1.0}), "error", "look into the server's log"),
        (Script(faults={"error_503": 1.0}), "error", "overloaded or still starting"),
        (Script(faults={"reset": 1.0}), "error", "closed the connection"),
        (Script(faults={"refused_429": 1.0}), "note", "at its limit"),
        (Script(faults={"filtered_400": 1.0}), "ok", "answers at"),
        (Script(api_key="right"), "error", "wants a key"),
    ],
)
def test_faults_of_the_service_are_told_with_their_mend(server, tmp_path, script, level, words):
    ((found, text),) = findings(server, tmp_path, script)
    assert (found, words in text) == (level, True)


@pytest.mark.parametrize(
    ("status", "words"),
    [(301, "redirects elsewhere (HTTP 301)"), (302, "redirects elsewhere"), (402, "no money"), (418, "http_error")],
)
def test_every_status_has_words(status, words):
    outcome = read_reply(status, b"", lambda _: None)
    assert words in explain(endpoint("http://h/v1"), outcome, [])
