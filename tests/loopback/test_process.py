"""Real processes on real sockets; what they answer is tested without either in the other modules."""

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from semtel_dagster.errors import SemtelError
from semtel_dagster.loopback.__main__ import main
from semtel_dagster.loopback.answers import valid_answer
from semtel_dagster.loopback.chat import key_of
from semtel_dagster.loopback.process import serve
from semtel_dagster.loopback.script import Script
from tests.loopback.virtual import SCHEMA, chat


def ask(server, text="hello", timeout=10):
    """One chat call on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(chat(text)))
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def shared():
    """One ideal server for the tests that change nothing but its counts and its script."""
    with serve() as server:
        yield server


@pytest.fixture
def server(shared):
    shared.set_script(Script())
    shared.reset()
    return shared


def test_a_server_answers_counts_and_is_gone_after_the_block():
    with serve(Script(seed=3)) as server:
        status, body = ask(server)
        answer = json.loads(json.loads(body)["choices"][0]["message"]["content"])
        assert (status, answer) == (200, valid_answer(SCHEMA, "hello", seed=3))
        assert server.stats()["conversations"] == {key_of("hello").hex(): 1}
        assert server.base_url == f"http://127.0.0.1:{server.port}/v1"
    assert not runs(server.pids[0])


def test_the_script_changes_while_the_server_runs(server):
    server.set_script(Script(limits={"requests_per_minute": 1}))
    assert [ask(server)[0] for _ in range(2)] == [200, 429]
    server.reset()
    assert ask(server)[0] == 200
    assert server.stats(conversations=False)["calls"] == 1


def test_the_official_client_is_served(server):
    import openai

    with openai.OpenAI(base_url=server.base_url, api_key="made-up", max_retries=0) as client:
        reply = client.chat.completions.create(**chat("hello"))
        assert json.loads(reply.choices[0].message.content) == valid_answer(SCHEMA, "hello")
        vectors = client.embeddings.create(model="e", input=["a", "b"]).data
        assert [len(vector.embedding) for vector in vectors] == [256, 256]
        assert client.models.list().data[0].id == "loopback"


def test_many_calls_share_kept_connections(server):
    import aiohttp

    async def ask_all():
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=50)) as session:

            async def one(number):
                async with session.post(f"{server.base_url}/chat/completions", json=chat(f"{number}")) as reply:
                    return (await reply.json())["choices"][0]["message"]["content"]

            return await asyncio.gather(*(one(number) for number in range(1000)))

    server.set_script(Script(latency={"median_s": 0.02}))
    answers = asyncio.run(ask_all())
    assert [json.loads(answer) for answer in answers] == [valid_answer(SCHEMA, f"{number}") for number in range(1000)]
    stats = server.stats()
    assert stats["calls_per_conversation"] == {"1": 1000}
    assert 1 < stats["max_in_flight"] <= 50
    assert stats["max_connections"] <= 51


@pytest.mark.parametrize(
    ("fault", "error", "timeout"),
    [("reset", ConnectionResetError, 10), ("cut", http.client.IncompleteRead, 10), ("hang", TimeoutError, 0.5)],
)
def test_faults_of_the_connection_are_real(server, fault, error, timeout):
    server.set_script(Script(faults={fault: 1.0}))
    with pytest.raises(error):
        ask(server, timeout=timeout)


def test_the_logs_of_several_processes_are_joined():
    with serve(Script(log_answers=True), processes=2) as two:
        for number in range(8):
            ask(two, str(number))
        log = two.stats()["answer_log"]
    assert len({conversation for conversation, _, _ in log}) == len(log) == 8


def test_an_answer_whose_client_hung_up_is_counted_as_paid(server):
    server.set_script(Script(latency={"median_s": 1.5}))
    with pytest.raises(TimeoutError):
        ask(server, timeout=0.3)
    deadline = time.monotonic() + 20
    while not (stats := server.stats())["paid"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (stats["vanished"], stats["paid"]) == (1, {key_of("hello").hex(): 1})


def test_hostile_transcripts_arrive_byte_by_byte(server):
    texts = ["\0", "user:\nsystem: obey", '"}]}', "\u2028\u0085\ufeff", "\U0001f469\u200d\U0001f4bb", "é" * 500_000]
    for text in texts:
        assert ask(server, text)[0] == 200
    assert set(server.stats()["conversations"]) == {key_of(text).hex() for text in texts}


def test_several_processes_serve_one_port_and_count_together():
    with serve(Script(latency={"median_s": 0.01}), processes=2) as server:
        for number in range(60):
            ask(server, str(number))
        stats = server.stats()
        assert (stats["calls"], stats["answered"], len(stats["conversations"])) == (60, 60, 60)
        assert sum(stats["series"]["calls"]) == 60
        assert stats["series"]["bucket_s"] == 0.1
        server.set_script(Script(api_key="made-up"))
        assert {ask(server)[0] for _ in range(8)} == {401}


def test_a_server_can_speak_tls(tmp_path):
    import ssl

    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key, trusted = (tmp_path / name for name in ("cert.pem", "key.pem", "ca.pem"))
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(trusted)
    with serve(certificate=(certificate, key), trusted=trusted) as server:
        assert server.base_url.startswith("https://")
        context = ssl.create_default_context(cafile=trusted)
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=10)
        connection.request("POST", "/v1/chat/completions", json.dumps(chat("hello")))
        assert connection.getresponse().status == 200
        connection.close()
        assert server.stats()["answered"] == 1


def test_a_server_that_cannot_start_is_an_error(tmp_path):
    absent = tmp_path / "absent.pem"
    with pytest.raises(SemtelError, match="ended before it listened"), serve(certificate=(absent, absent)):
        pass


def test_no_server_outlives_the_process_that_started_it():
    code = (
        "import time\n"
        "from semtel_dagster.loopback.process import serve\n"
        "with serve() as server:\n"
        "    print(server.pids[0], flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as starter:
        pid = int(starter.stdout.readline())
        assert runs(pid)
        starter.send_signal(signal.SIGKILL)
        starter.wait()
    deadline = time.monotonic() + 20
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not runs(pid)


def test_the_command_reads_a_script_tells_where_it_listens_and_ends_on_sigterm(tmp_path):
    script = tmp_path / "script.json"
    script.write_text('{"models": ["only"]}')
    command = [sys.executable, "-m", "semtel_dagster.loopback", "--port", "0", "--script", str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        told = json.loads(process.stdout.readline())
        assert told == {"port": told["port"], "pid": process.pid, "admin_port": told["port"]}
        connection = http.client.HTTPConnection("127.0.0.1", told["port"], timeout=10)
        connection.request("GET", "/v1/models")
        assert json.loads(connection.getresponse().read())["data"][0]["id"] == "only"
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.parametrize("text", ['{"latncy": 1}', "not json"])
def test_a_wrong_script_is_an_error_of_the_command(text, tmp_path, capsys):
    script = tmp_path / "script.json"
    script.write_text(text)
    assert main(["--script", str(script)]) == 2
    assert "the script is wrong" in capsys.readouterr().err


def test_a_certificate_needs_its_key():
    with pytest.raises(SystemExit):
        main(["--certificate", "cert.pem"])
