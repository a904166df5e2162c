import contextlib
import os
import resource
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster import tables
from semtel_dagster.requests import parts
from semtel_dagster.requests.journal import COMPACT_ABOVE, Journal, compact
from semtel_dagster.requests.parts import PartReader, parts_in
from tests.requests.builders import batch_of, hash_of, record

NAME, PRINT = "colour", "f" * 16


def write(folder, *batches):
    writer = Journal(folder, NAME, PRINT).writer()
    for batch in batches:
        writer.append(batch)
    writer.close()
    return writer.path


def hashes(*texts):
    return pa.array([hash_of(text) for text in texts], pa.large_string())


def found(folder, *texts, models=("m",)):
    return Journal(folder, NAME, PRINT).lookup(hashes(*texts), models).to_pylist()


def test_an_answer_is_found_again_as_a_row_that_made_no_call(tmp_path):
    write(tmp_path, batch_of(record("a"), record("b", answer="B")))
    (row,) = found(tmp_path, "b")
    assert (row["raw_text"], row["from_journal"], row["attempts"], row["refusals"]) == ("B", True, 0, 0)
    assert Journal(tmp_path, NAME, PRINT).lookup(hashes("b"), ["m"]).schema == tables.RESPONSES


def test_answers_come_in_the_order_of_the_question(tmp_path):
    write(
        tmp_path,
        *(batch_of(*(record(f"{frame}.{row}", answer=f"{frame}.{row}") for row in range(9))) for frame in range(9)),
    )
    asked = [f"{row % 9}.{row % 7}" for row in range(40)]
    assert [row["raw_text"] for row in found(tmp_path, *asked)] == asked


def test_another_model_prompt_or_classifier_shares_nothing(tmp_path):
    write(tmp_path, batch_of(record("a", model="m")))
    assert found(tmp_path, "a", models=["other"]) == []
    assert len(Journal(tmp_path, NAME, "0" * 16)) == len(Journal(tmp_path, "shape", PRINT)) == 0


def test_what_a_run_would_ask_is_counted(tmp_path):
    write(tmp_path, batch_of(record("a"), record("b")))
    journal = Journal(tmp_path, NAME, PRINT)
    assert journal.count_missing(hashes("a", "b", "c"), ["m"]) == 1
    assert journal.count_missing(hashes("a", "b", "c"), ["other"]) == 3
    assert Journal(tmp_path / "nowhere", NAME, PRINT).count_missing(hashes("a"), ["m"]) == 1


def test_the_newest_answer_wins(tmp_path):
    write(tmp_path, batch_of(record("a", answer="old")), batch_of(record("a", answer="new")))
    assert [row["raw_text"] for row in found(tmp_path, "a")] == ["new"]


def test_a_hash_of_another_form_is_a_key_too(tmp_path):
    odd = ("h-1", *record("a")[1:])
    write(tmp_path, batch_of(odd))
    assert len(Journal(tmp_path, NAME, PRINT).lookup(pa.array(["h-1", "h-2"], pa.large_string()), ["m"])) == 1


@settings(max_examples=30)
@given(cut=st.integers(1, 3000))
def test_a_torn_tail_costs_only_what_was_not_whole(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("journal")
    path = write(folder, batch_of(record("a")), batch_of(record("b")))
    whole = PartReader(path)
    second = whole.frames[1]
    os.truncate(path, max(0, path.stat().st_size - cut))
    journal = Journal(folder, NAME, PRINT)
    assert journal.torn_bytes > 0 or path.stat().st_size in {0, second.offset - 16}
    kept = len(journal.lookup(hashes("a", "b"), ["m"]))
    assert kept == (0 if path.stat().st_size < second.offset - 16 else 1)


def test_a_torn_tail_is_reported_without_text(tmp_path, caplog):
    path = write(tmp_path, batch_of(record("a", answer="SECRET")))
    with path.open("ab") as file:
        file.write(b"smtl half a frame SECRET")
    assert len(found(tmp_path, "a")) == 1
    assert "24 bytes" in caplog.text
    assert "SECRET" not in caplog.text


def test_a_flipped_bit_loses_its_frame_only(tmp_path):
    path = write(tmp_path, batch_of(record("a")), batch_of(record("b")), batch_of(record("c")))
    data = bytearray(path.read_bytes())
    data[PartReader(path).frames[1].offset + 40] ^= 1
    path.write_bytes(data)
    assert [row["content_hash"] for row in found(tmp_path, "a", "b", "c")] == hashes("a", "c").to_pylist()


def test_a_foreign_file_is_torn_as_a_whole(tmp_path):
    path = write(tmp_path, batch_of(record("a")))
    (path.parent / "x.part").write_bytes(b"something else")
    assert Journal(tmp_path, NAME, PRINT).torn_bytes == 14


def test_several_processes_write_at_the_same_time(tmp_path):
    code = (
        "import sys; from tests.requests.builders import *; from semtel_dagster.requests.journal import Journal\n"
        f"writer = Journal(sys.argv[1], {NAME!r}, {PRINT!r}).writer()\n"
        "for n in range(20): writer.append(batch_of(record(f'{sys.argv[2]}.{n}')))"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(number)]) for number in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    everything = [f"{number}.{n}" for number in range(3) for n in range(20)]
    assert len(found(tmp_path, *everything)) == 60


def test_compaction_keeps_every_answer_once_and_leaves_live_parts_alone(tmp_path):
    for number in range(COMPACT_ABOVE + 4):
        write(tmp_path, batch_of(record(f"{number}"), record("shared", answer=str(number))))
    live = Journal(tmp_path, NAME, PRINT).writer()
    live.append(batch_of(record("live")))
    reader = Journal(tmp_path, NAME, PRINT)
    assert compact(tmp_path, NAME, PRINT) == COMPACT_ABOVE + 4
    live.append(batch_of(record("later")))
    assert len(parts_in(tmp_path / NAME / PRINT)) == 2
    asked = [*(str(number) for number in range(COMPACT_ABOVE + 4)), "shared", "live", "later"]
    assert len(found(tmp_path, *asked)) == len(asked)
    assert len(Journal(tmp_path, NAME, PRINT)) == len(asked)
    assert len(reader.lookup(hashes("0", "shared"), ["m"])) == 2  # an open reader goes on
    live.close()


def test_a_compaction_while_a_journal_opens_hides_nothing(tmp_path, monkeypatch):
    """Tasks of a cluster open the journal at the same moment, and one of them compacts it."""
    for number in range(COMPACT_ABOVE + 1):
        write(tmp_path, batch_of(record(f"text {number}")))
    listed = []

    def list_then_compact(folder):
        paths = parts_in(folder)
        if not listed:
            listed.append(paths)
            compact(tmp_path, NAME, PRINT)
        return paths

    with monkeypatch.context() as patch:
        patch.setattr(parts, "parts_in", list_then_compact)
        assert len(Journal(tmp_path, NAME, PRINT)) == COMPACT_ABOVE + 1
    assert len(listed[0]) == COMPACT_ABOVE + 1


def test_a_part_has_its_name_only_when_it_is_locked(tmp_path, monkeypatch):
    """Else a compaction that comes between could take it for one that nobody writes, and remove it."""
    named = []
    lock = parts.fcntl.flock

    def spying(file, operation):
        named.append(parts_in(tmp_path / NAME / PRINT))
        lock(file, operation)

    monkeypatch.setattr(parts.fcntl, "flock", spying)
    write(tmp_path, batch_of(record("a")))
    assert named == [[]]
    assert len(parts_in(tmp_path / NAME / PRINT)) == 1


def test_few_parts_are_not_worth_a_compaction(tmp_path):
    write(tmp_path, batch_of(record("a")))
    assert compact(tmp_path, NAME, PRINT) == 0


def test_the_index_costs_tens_of_bytes_per_answer(tmp_path):
    write(tmp_path, batch_of(*(record(str(number)) for number in range(1000))))
    journal = Journal(tmp_path, NAME, PRINT)
    held = sum(value.nbytes for value in vars(journal).values() if isinstance(value, np.ndarray))
    assert held / 1000 < 40


def test_a_folder_that_cannot_be_written_is_an_error():
    writer = Journal("/proc/nowhere", NAME, PRINT).writer()
    with pytest.raises(OSError, match="nowhere"):
        writer.append(batch_of(record("a")))


@contextlib.contextmanager
def files_of_at_most(size):
    """The kernel refuses to let a file grow beyond that, as a full disk would."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_told_and_costs_only_the_frame_that_did_not_fit(tmp_path):
    writer, written = Journal(tmp_path, NAME, PRINT).writer(), []

    def fill():
        for number in range(100):
            writer.append(batch_of(record(f"{number}")))
            written.append(f"{number}")

    with files_of_at_most(8000), pytest.raises(OSError, match=r"the answers so far are kept: make room.*\.part"):
        fill()
    writer.append(batch_of(record("later")))
    assert 0 < len(written) < 100
    assert len(found(tmp_path, *written, "later")) == len(written) + 1
    assert Journal(tmp_path, NAME, PRINT).torn_bytes == 0


def test_a_disk_too_full_for_a_compaction_loses_nothing_and_leaves_nothing(tmp_path):
    asked = [str(number) for number in range(COMPACT_ABOVE + 4)]
    for text in asked:
        write(tmp_path, batch_of(record(text)))
    with files_of_at_most(4000), pytest.raises(OSError, match="make room"):
        compact(tmp_path, NAME, PRINT)
    assert len(parts_in(tmp_path / NAME / PRINT)) == len(asked)
    assert len(found(tmp_path, *asked)) == len(asked)


WRITERS = """
import sys
from tests.requests.builders import *
from semtel_dagster.requests.journal import Journal
for number in range(20):
    writer = Journal(sys.argv[1], "colour", "f" * 16).writer()
    for frame in range(3):
        writer.append(batch_of(record(f"{sys.argv[2]}.{number}.{frame}")))
    writer.close()
"""


def test_compactions_while_others_write_lose_nothing(tmp_path):
    running = [subprocess.Popen([sys.executable, "-c", WRITERS, str(tmp_path), str(who)]) for who in range(2)]
    merged = 0
    while any(process.poll() is None for process in running):
        merged += compact(tmp_path, NAME, PRINT)
    assert [process.wait() for process in running] == [0, 0]
    everything = [f"{who}.{number}.{frame}" for who in range(2) for number in range(20) for frame in range(3)]
    assert merged > COMPACT_ABOVE
    assert len(found(tmp_path, *everything)) == len(Journal(tmp_path, NAME, PRINT)) == len(everything)
