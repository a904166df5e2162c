import base64
import json
import struct

import pytest

from semtel_dagster.loopback.script import Script
from tests.loopback.virtual import VirtualServer, chat

AZURE = "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/openai/v1/chat/completions", AZURE])
def test_chat_is_served_in_the_paths_of_openai_and_azure(path):
    assert VirtualServer().ask(path=path).status == 200


def test_the_deployment_of_an_azure_path_is_the_model():
    server = VirtualServer(models=("gpt",))
    assert server.ask(path=AZURE).json["model"] == "gpt"
    unknown = server.ask(path=AZURE.replace("gpt", "other"))
    assert (unknown.status, unknown.json["error"]["code"]) == (404, "DeploymentNotFound")


def test_a_deployment_path_needs_its_api_version():
    assert VirtualServer().ask(path=AZURE.partition("?")[0]).status == 404


def test_azures_errors_have_azures_shape():
    server = VirtualServer(limits={"requests_per_minute": 1})
    server.ask(path=AZURE)
    assert server.ask(path=AZURE).json["error"]["code"] == "429"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 401),
        (["Authorization: Bearer wrong"], 401),
        (["Authorization: Bearer made-up"], 200),
        (["api-key: made-up"], 200),
        (["API-KEY: wrong"], 401),
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", AZURE])
def test_a_key_is_asked_for_where_the_script_has_one(headers, status, path):
    server = VirtualServer(api_key="made-up")
    assert server.ask(path=path, headers=headers).status == status
    assert server.stats()["calls"] == (1 if status == 200 else 0)


def test_models_are_listed():
    server = VirtualServer(models=("a", "b"))
    assert [model["id"] for model in server.send("GET", "/v1/models").json["data"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("POST", "/v1/responses", 404),
        ("GET", "/", 404),
        ("GET", "/_nothing", 404),
    ],
)
def test_other_paths_and_methods_are_errors(method, path, status):
    assert VirtualServer().send(method, path).status == status


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"messages": 3}', b'{"messages": [{"role": "user", "content": "\\ud800"}]}']
)
def test_a_body_that_is_no_chat_request_is_a_400(body):
    assert VirtualServer().send("POST", "/v1/chat/completions", body).status in {400}


def embed(server, **fields):
    line = server.send("POST", "/v1/embeddings", {"model": "e", **fields})
    server.loop.advance(0)
    return line.json


def test_embeddings_are_unit_vectors_that_are_a_hash_of_the_text():
    server = VirtualServer(dimensions=8)
    first = embed(server, input=["a", "b", "a"])
    vectors = [entry["embedding"] for entry in first["data"]]
    assert [entry["index"] for entry in first["data"]] == [0, 1, 2]
    assert vectors[0] == vectors[2] != vectors[1]
    assert sum(value * value for value in vectors[0]) == pytest.approx(1, abs=1e-6)
    assert embed(VirtualServer(dimensions=8), input="a")["data"][0]["embedding"] == vectors[0]


def test_embeddings_come_in_base64_and_other_dimensions_on_request():
    server = VirtualServer(dimensions=8)
    text = embed(server, input="a", encoding_format="base64")["data"][0]["embedding"]
    assert list(struct.unpack("<8f", base64.b64decode(text))) == pytest.approx(
        embed(server, input="a")["data"][0]["embedding"]
    )
    assert len(embed(server, input="a", dimensions=3)["data"][0]["embedding"]) == 3


def test_embeddings_of_tokens_are_one_vector_a_list():
    server = VirtualServer()
    assert len(embed(server, input=[1, 2, 3])["data"]) == 1
    assert len(embed(server, input=[[1, 2], [3]])["data"]) == 2
    assert server.send("POST", "/v1/embeddings", b"{}").status == 400


def test_embeddings_calls_have_quotas_and_faults_and_are_counted_apart():
    server = VirtualServer(
        limits={"requests_per_minute": 60, "window_s": 1}, faults={"error_500": 1.0, "first_calls": 1}
    )
    statuses = []
    for _ in range(3):
        line = server.send("POST", "/v1/embeddings", {"input": ["a", "b"]})
        server.loop.advance(0.6)
        statuses.append(line.status)
    assert statuses == [500, 429, 200]
    stats = server.stats()
    assert (stats["embedding_calls"], stats["embedding_refused"], stats["embedding_answered"]) == (3, 1, 1)
    assert (stats["embedded_texts"], stats["calls"], stats["refused"]) == (2, 0, 0)


def test_embeddings_know_their_models():
    assert VirtualServer(models=("m",)).send("POST", "/v1/embeddings", {"model": "e", "input": "a"}).status == 404


def test_a_new_script_holds_from_the_next_call_and_the_counts_go_on():
    server = VirtualServer(limits={"requests_per_minute": 1})
    assert [server.ask().status for _ in range(2)] == [200, 429]
    script = Script(limits={"requests_per_minute": 2})
    assert server.send("PUT", "/_script", script.model_dump_json().encode()).status == 200
    assert [server.ask().status for _ in range(3)] == [200, 200, 429]
    assert server.stats()["calls"] == 5
    assert Script.model_validate_json(server.send("GET", "/_script").body) == script


def test_a_wrong_script_is_refused_and_the_old_one_stays():
    server = VirtualServer(seed=5)
    refusal = server.send("PUT", "/_script", b'{"seeds": 1}')
    assert refusal.status == 422
    assert refusal.json["error"][0]["loc"] == ["seeds"]
    assert json.loads(server.send("GET", "/_script").body)["seed"] == 5


def test_a_reset_forgets_the_counts_and_begins_the_script_anew():
    server = VirtualServer(limits={"requests_per_minute": 1})
    server.ask()
    server.send("POST", "/_reset")
    stats = server.stats()
    assert (stats["calls"], stats["conversations"], stats["series"]["calls"]) == (0, {}, [])
    assert server.ask().status == 200


def test_a_call_in_service_survives_a_reset():
    server = VirtualServer(latency={"median_s": 1.0})
    line = server.ask()
    server.send("POST", "/_reset")
    assert server.stats()["in_flight"] == 1
    server.loop.advance(2)
    assert line.status == 200
    assert server.stats()["in_flight"] == 0


def test_clients_are_counted_apart_by_their_path():
    server = VirtualServer(limits={"requests_per_minute": 3})
    for client in ("a", "a", "b", "b"):
        server.ask(path=f"/as/{client}/v1/chat/completions")
    stats = server.stats()
    assert stats["clients"]["a"]["calls"] == stats["clients"]["a"]["answered"] == 2
    assert (stats["clients"]["b"]["answered"], stats["clients"]["b"]["refused"]) == (1, 1)
    assert stats["clients"]["b"]["series"]["calls"] == [2]
    assert stats["calls"] == 4


def test_stats_can_leave_out_what_grows_with_the_rows():
    server = VirtualServer()
    server.ask()
    short = server.send("GET", "/_stats?conversations=0").json
    assert "conversations" not in short
    assert short["calls_per_conversation"] == {"1": 1}
    assert short["answered_per_minute"] == [1]


def test_the_text_of_a_conversation_is_in_no_reply():
    server = VirtualServer(logprobs=False, answers={"style": "dirty", "dirty_share": 1.0}, token_count="o200k")
    replies = [
        server.ask("secret-words"),
        server.ask("secret-words", logprobs=True),
        server.send("POST", "/v1/chat/completions", json.dumps(chat("secret-words")).encode()[:-3]),
        server.send("GET", "/_stats"),
    ]
    assert all(b"secret-words" not in reply.sent for reply in replies)
