"""The provider through the openai package: OpenAI's and Azure's paths, faults as codes, no word of a reply."""

import pytest

from semtel_dagster.batches.provider import OpenAIProvider, ProviderError, limit_in
from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from semtel_dagster.settings import EndpointSettings

LINE = (
    b'{"custom_id":"%b","method":"POST","url":"%b",'
    b'"body":{"model":"m","messages":[{"role":"user","content":"Hi \xe2\x80\xa8"}]}}\n'
)


@pytest.fixture(scope="module")
def running():
    with serve() as server:
        yield server


@pytest.fixture
def server(running):
    running.set_script(Script(api_key="made-up"))
    running.reset()
    return running


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("EAST_KEY", "made-up")


def endpoint(server, kind="openai", **fields):
    base = server.base_url if kind == "openai" else server.root_url
    return EndpointSettings(name="east", kind=kind, base_url=base, model="m", api_key_env="EAST_KEY", **fields)


KINDS = {
    "openai": {"kind": "openai"},
    "azure's v1 path": {"kind": "azure"},
    "azure with a version": {"kind": "azure", "api_version": "2024-10-21"},
}


def file_of(folder, provider, count=3):
    path = folder / "input.jsonl"
    path.write_bytes(b"".join(LINE % (b"c%d" % number, provider.url.encode()) for number in range(count)))
    return path


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_batch_goes_up_and_its_results_come_down(server, tmp_path, kind):
    provider = OpenAIProvider(endpoint(server, **kind))
    file = provider.upload(file_of(tmp_path, provider), "semtel-1.jsonl")
    assert provider.is_ready(file)
    created = provider.create(file, "semtel-1.0")
    ended = created
    while ended.status == "in_progress":
        ended = provider.retrieve(created.id)
    assert (ended.status, ended.done, ended.input_file) == ("completed", 3, file)
    (results,) = ended.results
    lines = list(provider.lines(results))
    assert len(lines) == 3
    assert all(line.startswith(b"{") and line.endswith(b"}") for line in lines)


def test_things_are_found_by_our_name_and_no_other(server, tmp_path):
    provider = OpenAIProvider(endpoint(server))
    assert provider.find_file("semtel-1.jsonl") is None
    file = provider.upload(file_of(tmp_path, provider), "semtel-1.jsonl")
    for number in range(130):
        provider.create(file, f"semtel-{number}.0")
    assert provider.find_file("semtel-1.jsonl") == file
    assert len(provider.find_batches("semtel-0.0")) == 1
    assert provider.find_batches("semtel-0") == []


def test_a_file_is_removed_and_one_that_is_not_there_is_no_fault(server, tmp_path):
    provider = OpenAIProvider(endpoint(server))
    file = provider.upload(file_of(tmp_path, provider), "semtel-1.jsonl")
    provider.delete(file)
    provider.delete(file)
    assert provider.find_file("semtel-1.jsonl") is None


def test_a_wrong_key_is_a_lasting_fault_that_shows_no_key(server, monkeypatch):
    monkeypatch.setenv("EAST_KEY", "made-up-but-wrong")
    with pytest.raises(ProviderError, match=r"^unauthorized \(HTTP 401\)$") as told:
        OpenAIProvider(endpoint(server)).retrieve("batch_1")
    assert told.value.lasting
    assert "made-up" not in repr(told.value)


def test_a_server_that_is_not_there_is_a_passing_fault():
    away = EndpointSettings(name="east", base_url="http://127.0.0.1:9/v1", model="m")
    provider = OpenAIProvider(away)
    provider._client = provider._client.with_options(max_retries=0)
    with pytest.raises(ProviderError, match="APIConnectionError") as told:
        provider.retrieve("batch_1")
    assert not told.value.lasting


@pytest.mark.parametrize("refused_at", ["create", "validation"])
def test_a_full_queue_is_told_with_its_limit(server, tmp_path, refused_at):
    server.set_script(Script(api_key="made-up", batches={"max_enqueued_tokens": 2, "quota_refused_at": refused_at}))
    provider = OpenAIProvider(endpoint(server))
    file = provider.upload(file_of(tmp_path, provider), "semtel-1.jsonl")
    if refused_at == "create":
        with pytest.raises(ProviderError) as told:
            provider.create(file, "semtel-1.0")
        assert (told.value.quota, told.value.limit, told.value.lasting) == (True, 2, False)
    else:
        created = provider.create(file, "semtel-1.0")
        assert (created.status, created.fault, created.limit) == ("failed", "token_limit_exceeded", 2)


@pytest.mark.parametrize(("words", "limit"), [
    ("Enqueued token limit reached for m in organization x. Limit: 2,000,000 enqueued tokens. Please", 2_000_000),
    ("Limit: 90000 enqueued tokens", 90_000),
    ("Try again later.", None),
])  # fmt: skip
def test_the_limit_in_an_errors_words(words, limit):
    assert limit_in(words) == limit


def test_a_missing_key_is_told_before_anything_is_sent(server, monkeypatch):
    monkeypatch.delenv("EAST_KEY")
    with pytest.raises(Exception, match="EAST_KEY, which is not set"):
        OpenAIProvider(endpoint(server))
