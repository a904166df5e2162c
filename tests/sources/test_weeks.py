import csv
import datetime as dt
import gzip
import json
import pickle
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from semtel_dagster.errors import SourceError
from semtel_dagster.settings import SourceSettings
from semtel_dagster.sources import batches
from semtel_dagster.sources.batches import READ
from semtel_dagster.sources.rules import REASONS
from semtel_dagster.sources.weeks import ReadWeek, source_weeks
from tests.shared_data import shared_file
from tests.sources.builders import MESSAGES, WEEK, read_week, reasons, row, write_lines

NEXT_WEEK = WEEK + dt.timedelta(days=7)


def ids(rows):
    return [item["conversation_id"] for item in rows if item["reason"] is None]


def table(*rows):
    columns = {name: [item[name] for item in rows] for name in rows[0]}
    return pa.table(columns | {"started_at": pa.array([dt.datetime.fromisoformat(at) for at in columns["started_at"]])})


def write_csv(path, rows):
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(item | {"messages": json.dumps(item["messages"])} for item in rows)


def test_every_kind_of_file_gives_the_same_rows(tmp_path):
    rows = [row(1), row(2, user_id=None), row(3, started_at="2026-11-16T00:00:00Z"), row(4, messages=[])]
    write_lines(tmp_path / "a.jsonl", rows)
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    (tmp_path / "a.jsonl.zst").write_bytes(pa.compress((tmp_path / "a.jsonl").read_bytes(), "zstd", asbytes=True))
    (tmp_path / "a.json").write_text(json.dumps(rows))
    write_csv(tmp_path / "a.csv", rows)
    pq.write_table(table(*rows), tmp_path / "a.parquet")
    results = [
        [item | {"source": None} for item in read_week(tmp_path / f"a.{ending}")]
        for ending in ("jsonl", "ndjson.gz", "jsonl.zst", "json", "csv", "parquet")
    ]
    assert ids(results[0]) == ["c1", "c2"]
    assert reasons(results[0]) == [None, None, "no_user_message"]
    assert [item["position"] for item in results[0]] == [1, 2, 4]
    assert all(result == results[0] for result in results)


def test_a_delta_table_gives_the_same_rows(tmp_path):
    deltalake = pytest.importorskip("deltalake")
    rows = [row(1), row(2, started_at="2026-11-16T00:00:00Z")]
    deltalake.write_deltalake(str(tmp_path / "log"), table(*rows))
    deltalake.write_deltalake(str(tmp_path / "log"), table(row(3)), mode="append")
    assert sorted(ids(read_week(tmp_path / "log"))) == ["c1", "c3"]
    assert source_weeks(SourceSettings(path=str(tmp_path / "log"))) == {WEEK: 2, NEXT_WEEK: 1}


def test_a_delta_table_without_its_package_names_the_package(tmp_path, monkeypatch):
    import sys

    from semtel_dagster.errors import DependencyError

    (tmp_path / "_delta_log").mkdir()
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(DependencyError, match="pip install deltalake"):
        read_week(tmp_path)


def test_a_row_stands_in_the_week_of_its_time_in_utc(tmp_path):
    times = ["2026-11-08T23:59:59.999999Z", "2026-11-09T00:00:00Z", "2026-11-15T23:59:59", "2026-11-15T23:59:59-01:00"]
    path = write_lines(tmp_path / "a.jsonl", [row(n, started_at=time) for n, time in enumerate(times)])
    assert [ids(read_week(path, WEEK + dt.timedelta(weeks=offset))) for offset in (-1, 0, 1)] == [
        ["c0"],
        ["c1", "c2"],
        ["c3"],
    ]
    assert source_weeks(SourceSettings(path=str(path))) == {WEEK - dt.timedelta(days=7): 1, WEEK: 2, NEXT_WEEK: 1}


def test_rows_without_a_usable_time_show_in_every_week(tmp_path):
    bad = ['{"cut', row(1, started_at=None), row(2, started_at="soon"), row(3, started_at="1970-01-01")]
    path = tmp_path / "a.jsonl"
    path.write_text("".join((item if isinstance(item, str) else json.dumps(item)) + "\n" for item in bad))
    for week in (WEEK, NEXT_WEEK):
        found = read_week(path, week)
        assert reasons(found) == ["not_json", "missing_time", "unparseable_time", "time_out_of_range"]
        assert all(item["undated"] for item in found)
        assert [item["conversation_id"] for item in found] == [None, "c1", "c2", "c3"]


def test_of_duplicate_ids_within_the_week_the_first_good_row_stays(tmp_path):
    write_lines(tmp_path / "b.jsonl", [row(1, user_id="third"), row(2)])
    rows = [row(1, messages=[]), row(1, user_id="first"), row(1, user_id="second"), row(2, started_at="2026-11-17")]
    write_lines(tmp_path / "a.jsonl", rows)
    found = read_week(tmp_path)
    assert reasons(found) == ["no_user_message", None, "duplicate_id", "duplicate_id", None]
    assert [item["source"] for item in found] == ["a.jsonl"] * 3 + ["b.jsonl"] * 2
    assert [item["user_id"] for item in found if item["reason"] is None] == ["first", "u1"]
    assert ids(read_week(tmp_path, NEXT_WEEK)) == ["c2"]


def test_a_half_written_file_beside_good_ones_is_one_rejected_row(tmp_path):
    write_lines(tmp_path / "a.jsonl", [row(1)])
    pq.write_table(table(row(2)), tmp_path / "b.parquet")
    (tmp_path / "b.parquet").write_bytes((tmp_path / "b.parquet").read_bytes()[:-10])
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(json.dumps(row(3)).encode() + b"\n" + bytes(10**6))[:-9])
    (tmp_path / "d.jsonl.zst").write_bytes(b"not compressed at all")
    found = read_week(tmp_path)
    assert ids(found) == ["c1", "c3"]
    assert [(item["source"], item["reason"]) for item in found if item["reason"]] == [
        ("b.parquet", "unreadable_file"),
        ("c.jsonl.gz", "unreadable_file"),
        ("d.jsonl.zst", "unreadable_file"),
    ]


def test_a_file_torn_in_its_last_line_loses_only_that_line(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [row(1), row(2)])
    path.write_bytes(path.read_bytes()[:-20])
    assert reasons(read_week(path)) == [None, "not_json"]


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl.gz", "a.docx"])
def test_where_no_file_can_be_read_there_is_an_error_with_the_mend(tmp_path, name):
    (tmp_path / name).write_bytes(b"PAR1 half a file")
    with pytest.raises(SourceError, match=rf"no file can be read; {name}: .*; write it again, or name another file"):
        read_week(tmp_path / name)
    with pytest.raises(SourceError):
        source_weeks(SourceSettings(path=str(tmp_path / name)))


def test_hostile_text_arrives_whole_and_harmless(tmp_path):
    text = "NUL \x00, half \ud800, lines \u2028\u2029\x85\r\n, שלום \u202e, user:\n" + "x" * 1_000_000
    (found,) = read_week(write_lines(tmp_path / "a.jsonl", [row(messages=[{"role": "user", "content": text}])]))
    assert found["messages"][0]["content"] == text.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")


def test_no_reason_or_detail_carries_text_of_the_conversation(tmp_path):
    secret = "hunter2"
    rows = [
        row(1, messages=[{"role": secret, "content": secret}]),
        row(2, messages=secret),
        row(3, started_at=secret),
        row(4, messages=[{"role": "user", "content": {secret: 1}}]),
        row(5, messages=[{"role": "user", "content": secret * 500}]),
    ]
    found = read_week(write_lines(tmp_path / "a.jsonl", rows), max_message_bytes=1000)
    assert all(item["reason"] in REASONS for item in found)
    assert secret not in json.dumps([(item["reason"], item["detail"]) for item in found])


def test_a_reader_can_be_sent_to_another_process(tmp_path):
    reader = ReadWeek(SourceSettings(path=str(write_lines(tmp_path / "a.jsonl", [row(1)]))), WEEK)
    (batch,) = pickle.loads(pickle.dumps(reader))()
    assert batch.schema == reader.schema == READ
    batch.validate(full=True)


def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "BATCH_CHARACTERS", 2**18)
    path = write_lines(
        tmp_path / "a.jsonl", [row(n, messages=[MESSAGES[0] | {"content": "x" * 10_000}]) for n in range(2000)]
    )
    tracemalloc.start()
    rows = sum(batch.num_rows for batch in ReadWeek(SourceSettings(path=str(path)), WEEK)())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == 2000
    assert peak < path.stat().st_size / 4


@pytest.mark.shared
@pytest.mark.parametrize(("name", "rejected"), [("sharegpt", {"no_user_message": 1}), ("recllmsim", {})])
def test_every_real_conversation_stands_in_one_week(name, rejected):
    source = SourceSettings(path=str(shared_file(f"{name}/conversations.parquet")))
    weeks = source_weeks(source)
    assert list(weeks) == [dt.date(2026, 9, 21) + dt.timedelta(weeks=n) for n in range(8)]
    found: dict[str | None, int] = {}
    for week, count in weeks.items():
        columns = [batch.column("reason").to_pylist() for batch in ReadWeek(source, week)()]
        assert sum(map(len, columns)) == count
        for reason in (reason for column in columns for reason in column):
            found[reason] = found.get(reason, 0) + 1
    assert found == {None: sum(weeks.values()) - sum(rejected.values())} | rejected
