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


class CountedReads:
    """A week's reader that counts how often the source is read."""

    def __init__(self, reader):
        self.reader, self.schema, self.reads = reader, reader.schema, 0

    def __call__(self):
        self.reads += 1
        return self.reader()


def test_the_source_is_read_once_for_both_tables_and_again_only_if_asked_in_another_order(tmp_path):
    path = tmp_path / "log.jsonl"
    rows = [conversation(0), conversation(1, messages=[]), conversation(2), conversation(3, messages=None)]
    path.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))
    for first, reads in (("accepted", 1), ("rejected", 2)):
        reader = CountedReads(ReadWeek(SourceSettings(path=str(path)), WEEK))
        found = read(reader, ENGINE)
        tables = {name: rows_of(getattr(found, name)) for name in sorted(("accepted", "rejected"), key=first.__ne__)}
        assert [row["conversation_id"] for row in tables["accepted"]] == ["c00000", "c00002"]
        assert [row["position"] for row in tables["rejected"]] == [2, 4]
        assert reader.reads == reads


def test_more_quarantined_rows_than_can_be_remembered_are_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr("semtel_dagster.stages.conversations.MOST_REMEMBERED", 2)
    found = week_of(tmp_path, conversation(0), *(conversation(number, messages=[]) for number in range(1, 6)))
    assert len(rows_of(found.accepted)) == 1
    assert [row["position"] for row in rows_of(found.rejected)] == [2, 3, 4, 5, 6]
