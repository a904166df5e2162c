"""Proxies by environment, with a real forward proxy in a process of its own."""

import pytest

from semtel_dagster.loopback.process import serve
from semtel_dagster.requests.network import proxy_variable
from semtel_dagster.requests.outcome import Kind
from tests.requests.builders import endpoint, plan, run, texts
from tests.requests.calling import finding, post
from tests.requests.proxy import serve_proxy

VARIABLES = [name for each in ("http_proxy", "https_proxy", "all_proxy", "no_proxy") for name in (each, each.upper())]
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def plain():
    with serve() as running:
        yield running


@pytest.fixture
def proxy(tmp_path):
    with serve_proxy(tmp_path / "proxy.log") as running:
        yield running


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_plain_calls_go_through_the_proxy(plain, proxy, monkeypatch, variable):
    monkeypatch.setenv(variable, proxy.address)
    assert post(plain.base_url).kind is Kind.ANSWERED
    assert proxy.seen() == [f"POST {plain.base_url}/chat/completions"]


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_secure_calls_go_through_a_tunnel_that_the_proxy_cannot_read(secure, proxy, trusted, monkeypatch, variable):
    monkeypatch.setenv(variable, proxy.address)
    assert post(secure.base_url).kind is Kind.ANSWERED
    assert proxy.seen() == [f"CONNECT 127.0.0.1:{secure.port}"]


@pytest.mark.parametrize("excepted", ["127.0.0.1", "example.org,127.0.0.1", "127.0.0.0/8", "*"])
def test_excepted_hosts_are_called_straight(plain, proxy, monkeypatch, excepted):
    monkeypatch.setenv("HTTP_PROXY", proxy.address)
    monkeypatch.setenv("NO_PROXY", excepted)
    assert post(plain.base_url).kind is Kind.ANSWERED
    assert proxy.seen() == []


def test_the_proxy_of_one_scheme_leaves_the_other_alone(plain, proxy, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", proxy.address)
    assert post(plain.base_url).kind is Kind.ANSWERED
    assert proxy.seen() == []


def test_a_host_that_only_the_proxy_knows_is_reached_by_its_name(secure, trusted, monkeypatch, tmp_path):
    with serve_proxy(tmp_path / "proxy.log", as_host="llm.internal") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        assert post(f"https://llm.internal:{secure.port}/v1").kind is Kind.ANSWERED
        assert proxy.seen() == [f"CONNECT llm.internal:{secure.port}"]


def test_a_whole_run_keeps_its_tunnels(secure, proxy, trusted, monkeypatch, tmp_path):
    monkeypatch.setenv("HTTPS_PROXY", proxy.address)
    a_plan = plan(tmp_path / "journal", endpoint(secure.base_url), requests={"max_in_flight": 4}, start_in_flight=4)
    table, _ = run(a_plan, texts(100))
    assert table.column("status").unique().to_pylist() == ["answered"]
    assert len(proxy.seen()) <= 8  # not one for each call


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_login_gets_it_and_without_one_the_mend_is_told(
    plain, secure, trusted, monkeypatch, tmp_path, scheme
):
    server, variable = (plain, "HTTP_PROXY") if scheme == "http" else (secure, "HTTPS_PROXY")
    with serve_proxy(tmp_path / "proxy.log", login="me:made-up-word") as proxy:
        monkeypatch.setenv(variable, proxy.address.replace("//", "//me:made-up-word@"))
        assert post(server.base_url).kind is Kind.ANSWERED
        monkeypatch.setenv(variable, proxy.address.replace("//", "//me:another-word@"))
        outcome = post(server.base_url)
        assert (outcome.kind, outcome.code) == (Kind.UNUSABLE, "proxy_login")
        found = finding(server.base_url, tmp_path)
    assert found.level == "error"
    assert f"the proxy in {variable} wants a login" in found.text
    assert "another-word" not in found.text


def test_a_proxy_that_refuses_the_tunnel_is_told(secure, trusted, monkeypatch, tmp_path):
    with serve_proxy(tmp_path / "proxy.log", status=403) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        assert post(secure.base_url).code == "proxy_refused"
        assert "the proxy in HTTPS_PROXY does not connect to" in finding(secure.base_url, tmp_path).text


def test_a_proxy_that_refuses_a_plain_call_is_not_mistaken_for_the_endpoint(plain, monkeypatch, tmp_path):
    with serve_proxy(tmp_path / "proxy.log", status=403) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.address)
        assert "or the proxy in HTTP_PROXY bars the way" in finding(plain.base_url, tmp_path).text


def test_a_proxy_that_is_not_there_is_told_by_its_variable(plain, secure, trusted, monkeypatch, tmp_path):
    monkeypatch.setenv("HTTPS_PROXY", NOWHERE)
    assert "the proxy in HTTPS_PROXY is not there" in finding(secure.base_url, tmp_path).text
    monkeypatch.setenv("HTTP_PROXY", NOWHERE)
    assert "through the proxy in HTTP_PROXY" in finding(plain.base_url, tmp_path).text


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        ({}, None),
        ({"HTTPS_PROXY": NOWHERE}, "HTTPS_PROXY"),
        ({"https_proxy": NOWHERE}, "https_proxy"),
        ({"ALL_PROXY": NOWHERE}, "ALL_PROXY"),
        ({"HTTP_PROXY": NOWHERE}, None),
        ({"HTTPS_PROXY": NOWHERE, "NO_PROXY": "llm.internal"}, None),
    ],
)
def test_the_variable_that_decides_is_found(monkeypatch, environment, variable):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_variable("https://llm.internal/v1") == variable
