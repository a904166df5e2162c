"""What is sent to a webserver is a mutation that Dagster's own schema accepts, and its refusals are told."""

import http.server
import json
import threading

import pytest

from semtel_dagster.errors import SemtelError, SettingsError
from semtel_dagster.planning.plan import PlannedPartition
from semtel_dagster.webserver import LAUNCH, backfill_params, launch


def partition(week, classifier="topic", reason="prompt changed"):
    return PlannedPartition(week, classifier, reason, 10, 8, 800, 0.1)


PARTITIONS = [
    partition("2026-10-12"),
    partition("2026-10-05", reason="missing"),
    partition("2026-10-05", "intent", "parser changed"),
]


@pytest.fixture
def webserver():
    """Answers every post with `reply` and keeps what was asked."""
    asked = []
    reply = {"data": {"launchPartitionBackfill": {"__typename": "LaunchBackfillSuccess", "backfillId": "abcd"}}}

    class Keep(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
            body = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keep)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked, reply
    server.shutdown()
    thread.join()
    server.server_close()


def keys(params, asset):
    return [
        chosen["start"]
        for each in params["partitionsByAssets"]
        if each["assetKey"]["path"] == [asset]
        for chosen in each["partitions"]["ranges"]
    ]


def test_exactly_the_planned_partitions_are_named():
    params = backfill_params(PARTITIONS, {"2026-10-05"}, "a title", {"semtel/budget": "{}"})
    assert keys(params, "conversations") == keys(params, "distinct_conversations") == ["2026-10-05"]
    assert keys(params, "responses") == ["topic|2026-10-12", "topic|2026-10-05"]
    assert keys(params, "labels") == ["topic|2026-10-12", "topic|2026-10-05", "intent|2026-10-05"]
    assert keys(params, "weekly_report") == ["2026-10-05", "2026-10-12"]
    assert params["title"] == "a title"
    assert params["tags"] == [{"key": "semtel/budget", "value": "{}"}]


def test_weeks_that_are_prepared_are_not_prepared_again():
    params = backfill_params(PARTITIONS[:1], (), "t", {})
    assert keys(params, "conversations") == []


def test_the_mutation_fits_dagsters_schema():
    import graphql
    from dagster_graphql.schema import create_schema

    schema = create_schema().graphql_schema
    document = graphql.parse(LAUNCH)
    assert graphql.validate(schema, document) == []
    params = backfill_params(PARTITIONS, {"2026-10-05"}, "t", {"a": "b"})
    (operation,) = document.definitions
    values = graphql.execution.values.get_variable_values(schema, operation.variable_definitions, {"params": params})
    assert not isinstance(values, list), values


def test_the_id_of_the_backfill_comes_back(webserver):
    url, asked, _ = webserver
    params = backfill_params(PARTITIONS, (), "t", {})
    assert launch(url + "/", params) == "abcd"
    ((path, document),) = asked
    assert path == "/graphql"
    assert document["variables"] == {"params": params}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"data": {"launchPartitionBackfill": {"__typename": "PythonError", "message": "no such asset"}}}, "no such"),
        ({"data": {"launchPartitionBackfill": {"__typename": "UnauthorizedError"}}}, "UnauthorizedError"),
        ({"errors": [{"message": "Unknown field"}]}, "Unknown field"),
    ],
)
def test_a_refusal_is_told(webserver, answer, words):
    url, _, reply = webserver
    reply.clear()
    reply.update(answer)
    with pytest.raises(SemtelError, match=words):
        launch(url, {})


def test_where_nobody_answers_the_mend_is_told():
    with pytest.raises(SettingsError, match="start dagster dev"):
        launch("http://127.0.0.1:9", {})
