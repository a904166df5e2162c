import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.sources import text_records
from semtel_dagster.sources.rules import Rejection
from semtel_dagster.sources.text_records import csv_rows, json_lines, json_values, parse_json

WHOLE = st.integers(-(2**63), 2**64 - 1)
VALUES = st.dictionaries(st.text(max_size=5), st.one_of(st.text(), WHOLE, st.none()), max_size=3)


def summary(records):
    """Position, and the row or the reason why there is none."""
    return [(at, value.reason if isinstance(value, Rejection) else value) for at, value in records]


def lines(data):
    return summary(json_lines(io.BytesIO(data)))


@given(st.lists(VALUES), st.booleans())
@settings(deadline=None)
def test_json_lines_are_read_one_object_a_line(values, escaped):
    data = "".join(json.dumps(value, ensure_ascii=escaped) + "\n" for value in values).encode()
    assert lines(data) == list(enumerate(values, start=1))


def test_only_a_newline_ends_a_line():
    text = "a\u2028b\u0085c\vd"
    data = json.dumps({"a": text}, ensure_ascii=False).replace("\\u000b", "\\u000b").encode()
    assert lines(data + b"\r\n" + data) == [(1, {"a": text}), (2, {"a": text})]


def test_a_byte_order_mark_and_empty_lines_are_skipped():
    assert lines(b'\xef\xbb\xbf{"a":1}\n\n  \n{"a":2}') == [(1, {"a": 1}), (4, {"a": 2})]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": "cut he', "not_json"),
        (b'{"a": "caf\xe9"}', "not_utf8"),
        (b"[1, 2]", "not_an_object"),
        (b"7", "not_an_object"),
        (b"{}{}", "not_json"),
        (b"[" * 100_000, "not_json"),
        ('{"a": 1}'.encode("utf-16"), "not_utf8"),
    ],
)
def test_a_bad_line_is_one_rejection_and_reading_goes_on(line, reason):
    assert lines(b"{}\n" + line + b"\n{}\n") == [(1, {}), (2, reason), (3, {})]


def test_surrogates_and_numbers_outside_json_are_read():
    assert parse_json(b'{"a": "\\ud800"}') == {"a": "\ud800"}
    assert parse_json(b'{"a": "\xed\xa0\x80"}') == {"a": "\ud800"}
    assert parse_json(b'{"a": NaN, "b": 123456789012345678901234567890}') == {
        "a": None,
        "b": 123456789012345678901234567890,
    }


def test_an_endless_line_is_skipped_without_reading_it_whole(monkeypatch):
    monkeypatch.setattr(text_records, "MAX_RECORD_BYTES", 10)
    assert lines(b"{}\n" + b"x" * 100 + b"\n{}\n") == [(1, {}), (2, "line_too_long"), (3, {})]


@given(st.lists(VALUES, max_size=20), st.sampled_from([None, 1, 4]), st.integers(1, 50))
@settings(deadline=None)
def test_the_elements_of_a_json_array_are_read_whatever_the_chunks(values, indent, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_records, "_CHUNK", chunk)
        data = json.dumps(values, indent=indent, ensure_ascii=False).encode()
        assert summary(json_values(io.BytesIO(data))) == list(enumerate(values, start=1))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a": 1}', [(1, {"a": 1})]),
        (b'{"a": 1}\n{"a": 2}', [(1, {"a": 1}), (2, {"a": 2})]),
        (b"", []),
        (b'[{"a": 1}, 7]', [(1, {"a": 1}), (2, "not_an_object")]),
        (b'[{"a": 1}, {"a":', [(1, {"a": 1}), (2, "not_json")]),
        (b'[{"a": 1},', [(1, {"a": 1}), (2, "not_json")]),
        (b'[{"a": "\xff"}]', [(1, "not_utf8")]),
    ],
)
def test_json_files_of_other_forms_and_half_written_ones(data, expected):
    assert summary(json_values(io.BytesIO(data))) == expected


def test_csv_rows_are_texts_by_name_and_empty_ones_none():
    data = '\ufeffid,text\n1,"two\nlines, ""quoted"""\n\n2,\n'.encode()
    assert summary(csv_rows(io.BytesIO(data))) == [
        (1, {"id": "1", "text": 'two\nlines, "quoted"'}),
        (2, {"id": "2", "text": None}),
    ]


def test_a_field_of_csv_may_be_long():
    assert summary(csv_rows(io.BytesIO(b"a\n" + b"x" * 1_000_000))) == [(1, {"a": "x" * 1_000_000})]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a,b\n1\n2,3\n", [(1, "malformed_row"), (2, {"a": "2", "b": "3"})]),
        (b'a,b\n1,2\n3,"cut', [(1, {"a": "1", "b": "2"}), (2, "malformed_row")]),
        (b"a\ncaf\xe9\nx\n", [(1, "not_utf8"), (2, {"a": "x"})]),
    ],
)
def test_a_bad_row_of_csv_is_a_rejection(data, expected):
    assert summary(csv_rows(io.BytesIO(data))) == expected
