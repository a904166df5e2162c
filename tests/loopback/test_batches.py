"""Files and batches of the loopback server: uploaded, validated, worked off after a while, ended as the script says."""

import json

import pytest

from semtel_dagster.loopback.files import read_form
from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script


@pytest.fixture(scope="module")
def running():
    with serve() as server:
        yield server


@pytest.fixture
def server(running):
    running.set_script(Script())
    running.reset()
    return running


@pytest.fixture
def client(server):
    import openai

    return openai.OpenAI(base_url=server.base_url, api_key="x", max_retries=0)


def scripted(server, **work):
    server.set_script(Script(batches=work))


def request(custom_id="c1", text="Hello", url="/v1/chat/completions"):
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body})


def submitted(client, *lines):
    file = client.files.create(file=("in.jsonl", "\n".join(lines).encode()), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"our": "name"}
    )


def ended(client, batch):
    while batch.status in {"validating", "in_progress"}:
        batch = client.batches.retrieve(batch.id)
    return batch


def results(client, file):
    return [json.loads(line) for line in client.files.content(file).read().split(b"\n") if line] if file else []


def test_every_request_of_a_whole_batch_is_answered_and_paid_once(server, client):
    batch = ended(client, submitted(client, *(request(f"c{number}", f"text {number}") for number in range(20))))
    found = results(client, batch.output_file_id)
    assert {line["custom_id"] for line in found} == {f"c{number}" for number in range(20)}
    assert [line["custom_id"] for line in found] != [f"c{number}" for number in range(20)]
    assert batch.metadata == {"our": "name"}
    stats = server.stats()
    assert stats["paid_per_conversation"] == {"1": 20}
    assert (stats["files_uploaded"], stats["batches_created"], stats["batch_requests"]) == (1, 1, 20)


def test_the_answer_is_that_of_an_online_call(server, client):
    batch = ended(client, submitted(client, request(text="the same")))
    (line,) = results(client, batch.output_file_id)
    online = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "the same"}])
    body = line["response"]["body"]
    assert body["choices"][0]["message"]["content"] == online.choices[0].message.content
    assert body["usage"]["prompt_tokens"] == online.usage.prompt_tokens


@pytest.mark.parametrize("outcome", ["expired", "cancelled"])
def test_a_batch_that_ends_early_has_answered_a_part_and_names_the_rest(server, client, outcome):
    scripted(server, outcomes=[outcome], done_share=0.5)
    batch = ended(client, submitted(client, *(request(f"c{number}", f"text {number}") for number in range(60))))
    assert batch.status == outcome
    done, left = results(client, batch.output_file_id), results(client, batch.error_file_id)
    assert len(done) + len(left) == 60
    assert 10 < len(done) < 50
    assert {line["error"]["code"] for line in left} == {f"batch_{outcome}"}
    assert server.stats()["paid_per_conversation"] == {"1": len(done)}


def test_a_partial_failure_leaves_an_error_file_and_some_lines_may_be_lost(server, client):
    scripted(server, row_error_share=0.5)
    whole = ended(client, submitted(client, *(request(f"c{number}") for number in range(60))))
    errors = results(client, whole.error_file_id)
    assert {line["response"]["status_code"] for line in errors} == {500}
    scripted(server, row_error_share=0.5, lost_error_lines=1.0)
    lossy = ended(client, submitted(client, *(request(f"c{number}") for number in range(60))))
    assert lossy.error_file_id is None
    assert lossy.request_counts.failed > 0


@pytest.mark.parametrize(("lines", "code"), [
    ([request("c1"), request("c1")], "duplicate_custom_id"),
    ([request(), "{"], "invalid_json_line"),
    ([request(url="/v1/embeddings")], "mismatched_endpoint"),
])  # fmt: skip
def test_a_file_is_validated(client, lines, code):
    batch = submitted(client, *lines)
    assert (batch.status, batch.errors.data[0].code) == ("failed", code)


def test_enqueued_tokens_are_counted_over_open_batches(server, client):
    import openai

    text = "x" * 400
    scripted(server, delay_s=3600, max_enqueued_tokens=150)
    assert submitted(client, request(text=text)).status == "in_progress"
    second = submitted(client, request(text=text))
    assert (second.status, second.errors.data[0].code) == ("failed", "token_limit_exceeded")
    scripted(server, delay_s=3600, max_enqueued_tokens=150, quota_refused_at="create")
    with pytest.raises(openai.RateLimitError, match="Limit: 150 enqueued tokens"):
        submitted(client, request(text=text))
    client.batches.cancel(client.batches.list().data[-1].id)
    assert submitted(client, request(text=text)).status == "in_progress"


def test_a_server_may_know_no_batches(server, client):
    import openai

    scripted(server, served=False)
    with pytest.raises(openai.NotFoundError):
        client.batches.list()


def test_lists_come_in_pages_the_newest_first(client):
    made = [submitted(client, request()).id for _ in range(5)]
    assert [batch.id for batch in client.batches.list(limit=2)] == made[::-1]


def test_a_form_is_read_with_any_bytes_in_its_file():
    content = bytes(range(256)) + b"\r\n--not the end\r\n"
    head = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\n'
    head += b'Content-Disposition: form-data; name="file"; filename="a.jsonl"\r\nContent-Type: x/y\r\n\r\n'
    form = read_form('multipart/form-data; boundary="b"', head + content + b"\r\n--b--\r\n")
    assert form == {"purpose": ("", b"batch"), "file": ("a.jsonl", content)}


def test_what_is_no_form_is_refused():
    with pytest.raises(ValueError, match="multipart"):
        read_form("application/json", b"{}")
