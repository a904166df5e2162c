import json

from semtel_dagster.settings import SourceSettings
from semtel_dagster.sources.weeks import ReadWeek
from semtel_dagster.stages.conversations import read
from semtel_dagster.tables import CONVERSATIONS, REJECTED_CONVERSATIONS
from tests.stages.builders import ENGINE, WEEK, conversation, rows_of, table_of


def week_of(tmp_path, *rows):
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))
    return read(ReadWeek(SourceSettings(path=str(path)), WEEK), ENGINE)


def test_every_row_of_the_week_is_accepted_or_rejected_in_the_sources_order(tmp_path):
    good, bad = conversation(2, model="m"), conversation(1, messages=[])
    found = week_of(tmp_path, good, bad, conversation(0), conversation(3, started_at="2026-11-17"))
    assert [row["conversation_id"] for row in rows_of(found.accepted)] == ["c00002", "c00000"]
    assert rows_of(found.rejected) == [
        {
            "source": "log.jsonl",
            "position": 2,
            "conversation_id": "c00001",
            "reason": "no_user_message",
            "detail": "0 messages",
            "undated": False,
        }
    ]


def test_the_tables_are_exactly_the_contracts(tmp_path):
    found = week_of(tmp_path, conversation(0))
    assert table_of(found.accepted).schema.types == CONVERSATIONS.types
    assert table_of(found.accepted).schema.names == CONVERSATIONS.names
    assert table_of(found.rejected).schema.types == REJECTED_CONVERSATIONS.types
    assert table_of(found.rejected).schema.names == REJECTED_CONVERSATIONS.names


def test_a_week_without_rows_gives_empty_tables(tmp_path):
    found = week_of(tmp_path, conversation(3, started_at="2026-11-17"))
    assert rows_of(found.accepted) == rows_of(found.rejected) == []
