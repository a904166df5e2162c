"""Keys and Entra tokens: fresh before they expire, asked for off the loop, shown nowhere."""

import asyncio
import logging
import sys
import threading

import pytest

from semtel_dagster.errors import SettingsError
from semtel_dagster.loopback.script import Script
from semtel_dagster.requests.caller import address_of, transport_of
from semtel_dagster.requests.check import check_endpoint
from semtel_dagster.requests.credentials import FreshToken, TokenError, entra_provider, key_of
from semtel_dagster.requests.outcome import Kind
from semtel_dagster.requests.transport import HttpTransport
from semtel_dagster.settings import EndpointSettings
from tests.requests.builders import endpoint, plan, run, texts
from tests.requests.calling import BODY
from tests.requests.identity_server import serve_identity


@pytest.fixture
def identity(monkeypatch):
    pytest.importorskip("azure.identity")
    with serve_identity() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def azure(server, **fields):
    return EndpointSettings(name="one", kind="azure", base_url=server.root_url, model="m", **fields)


class Provider:
    """Tokens one after another; may be made to wait or to fail."""

    def __init__(self):
        self.asked = 0
        self.at_once = self.most_at_once = 0
        self.works = True
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.asked += 1
        number = self.asked
        assert self.may_answer.wait(60)
        self.at_once -= 1
        if not self.works:
            raise RuntimeError("secret-token-in-an-error")
        return f"token-{number}"


async def until(condition):
    while not condition():
        await asyncio.sleep(0.005)


def test_a_token_is_asked_for_once_while_it_need_not_be_renewed():
    async def scenario():
        provider = Provider()
        token = FreshToken(provider, ask_again_s=3600)
        headers = await asyncio.gather(*(token.header() for _ in range(50)))
        headers.append(await token.header())
        return provider, set(headers)

    provider, headers = asyncio.run(scenario())
    assert headers == {"Bearer token-1"}
    assert provider.asked == 1


def test_calls_go_on_with_the_old_token_while_a_new_one_is_fetched():
    async def scenario():
        provider = Provider()
        token = FreshToken(provider, ask_again_s=0)
        assert await token.header() == "Bearer token-1"
        provider.may_answer.clear()
        meanwhile = {await token.header() for _ in range(20)}
        await until(lambda: provider.asked == 2)
        provider.may_answer.set()
        await token.close()
        assert await token.header() == "Bearer token-2"
        await token.close()
        return provider, meanwhile

    provider, meanwhile = asyncio.run(scenario())
    assert meanwhile == {"Bearer token-1"}
    assert provider.most_at_once == 1


def test_an_identity_that_fails_for_a_while_leaves_the_old_token_in_use(caplog):
    async def scenario():
        provider = Provider()
        token = FreshToken(provider, ask_again_s=0)
        await token.header()
        provider.works = False
        for _ in range(3):
            assert await token.header() == "Bearer token-1"
            await token.close()
        provider.works = True
        await token.header()
        await token.close()
        assert await token.header() == f"Bearer token-{provider.asked}"
        await token.close()

    with caplog.at_level(logging.DEBUG):
        asyncio.run(scenario())
    assert "token" not in caplog.text


def test_no_token_at_all_is_an_error_without_the_identitys_words():
    async def scenario():
        provider = Provider()
        provider.works = False
        token = FreshToken(provider)
        with pytest.raises(TokenError) as raised:
            await token.header()
        return str(raised.value)

    assert "secret" not in asyncio.run(scenario())


@pytest.mark.parametrize("fields", [{}, {"api_version": "2024-10-21"}], ids=["v1 path", "deployment path"])
def test_a_run_signs_in_with_the_machines_identity_and_shows_the_token_nowhere(
    server, identity, tmp_path, caplog, capfd, fields
):
    server.set_script(Script(api_key="made-up-token-1"))
    one = azure(server, **fields)
    with caplog.at_level(logging.DEBUG):
        table, figures = run(plan(tmp_path, one), texts(30))
    assert table.column("status").unique().to_pylist() == ["answered"]
    assert identity.given == ["made-up-token-1"]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    printed = "".join(capfd.readouterr())
    for shown in (caplog.text, printed, repr(figures), repr(one), str(table.to_pylist()), repr(address_of(one))):
        assert "made-up-token" not in shown
    assert b"made-up-token" not in written


def test_a_token_near_its_end_is_renewed_while_calls_go_on(server, identity):
    async def scenario():
        token = FreshToken(entra_provider(), ask_again_s=0)
        transport = HttpTransport({}, 2, token=token)
        url = f"{server.root_url}/openai/v1/chat/completions"
        try:
            identity.life_s = 200  # seconds; the identity library renews below 300
            server.set_script(Script(api_key="made-up-token-1"))
            first = await transport.post(url, BODY, 60.0)
            identity.life_s = 3600
            await token.header()
            await token.close()
            server.set_script(Script(api_key="made-up-token-2"))
            return [first, *[await transport.post(url, BODY, 60.0) for _ in range(3)]]
        finally:
            await transport.close()

    outcomes = asyncio.run(scenario())
    assert {outcome.kind for outcome in outcomes} == {Kind.ANSWERED}
    assert identity.given == ["made-up-token-1", "made-up-token-2"]


def test_without_an_identity_the_endpoint_is_out_and_the_check_tells_the_mend(server, identity, tmp_path):
    identity.down = True
    server.set_script(Script())
    one = azure(server)
    (finding,) = check_endpoint(one, plan(tmp_path, one))
    assert finding.level == "error"
    assert "az login" in finding.text


def test_an_identity_without_the_role_is_told_which_one_it_needs(server, identity, tmp_path):
    server.set_script(Script(api_key="another"))
    one = azure(server)
    (finding,) = check_endpoint(one, plan(tmp_path, one))
    assert finding.level == "error"
    assert "Cognitive Services OpenAI User" in finding.text


def test_without_the_identity_package_the_mend_is_told(server, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    one = azure(server)
    (finding,) = check_endpoint(one, plan(tmp_path, one))
    assert finding.level == "error"
    assert "semtel-dagster[azure]" in finding.text


def test_an_azure_key_needs_no_identity(server, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    monkeypatch.setenv("MADE_UP", "made-up-key")
    server.set_script(Script(api_key="made-up-key"))
    one = azure(server, api_key_env="MADE_UP")
    assert [finding.level for finding in check_endpoint(one, plan(tmp_path, one))] == ["ok"]


@pytest.mark.parametrize(
    ("base_url", "api_version", "url"),
    [
        ("https://r.openai.azure.com", None, "https://r.openai.azure.com/openai/v1/chat/completions"),
        ("https://r.openai.azure.com/", None, "https://r.openai.azure.com/openai/v1/chat/completions"),
        ("https://r.openai.azure.com/openai/v1/", None, "https://r.openai.azure.com/openai/v1/chat/completions"),
        (
            "https://openai-eu.example.org/gate/openai",
            None,
            "https://openai-eu.example.org/gate/openai/v1/chat/completions",
        ),
        (
            "https://r.openai.azure.com/openai/deployments/mine/chat/completions",
            "2024-10-21",
            "https://r.openai.azure.com/openai/deployments/m/chat/completions?api-version=2024-10-21",
        ),
    ],
)
def test_azure_addresses_are_built_from_what_its_portal_shows(base_url, api_version, url):
    one = EndpointSettings(name="a", kind="azure", base_url=base_url, model="m", api_version=api_version)
    assert address_of(one).url == url


def test_the_address_of_chat_completions_itself_is_understood():
    assert address_of(endpoint("http://h/v1/chat/completions")).url == "http://h/v1/chat/completions"


@pytest.mark.parametrize("held", ["", "  ", "two\nlines", "“quoted”"])
def test_a_key_that_cannot_be_one_is_told_by_its_variable(monkeypatch, held):
    monkeypatch.setenv("MADE_UP", held)
    with pytest.raises(SettingsError, match="MADE_UP") as raised:
        key_of(endpoint("http://h/v1", api_key_env="MADE_UP"))
    assert held.strip() == "" or held not in str(raised.value)


def test_a_plain_endpoint_is_asked_without_an_identity(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    server.set_script(Script())
    one = endpoint(server.base_url)

    async def scenario():
        transport = transport_of(one, 1)
        try:
            return await transport.post(address_of(one).url, BODY, 60.0)
        finally:
            await transport.close()

    assert asyncio.run(scenario()).kind is Kind.ANSWERED
