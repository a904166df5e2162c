r"""Records of text files: JSON lines, JSON values, CSV. One record at a time, so that memory stays flat.

The rules: lines end at `\n` only (texts hold U+2028 and U+0085); a byte order mark and empty lines are skipped; a
surrogate written as UTF-8 is read; a line that cannot be read is one rejection, and reading goes on. What a
record's fields mean belongs in `formats` and `validate`.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterator
from typing import IO, Any

import orjson

from semtel_dagster.sources.rules import Rejection, type_name

Record = tuple[int | None, dict[str, Any] | Rejection]  # position from 1, the row or why there is none

MAX_RECORD_BYTES = 256 * 2**20
_CHUNK = 2**20


def json_lines(stream: IO[bytes]) -> Iterator[Record]:
    """The objects of a JSON lines file; position is the line."""
    for position, line in _lines(stream):
        if isinstance(line, Rejection):
            yield position, line
        elif line.strip():
            yield position, _object(line)


def json_values(stream: IO[bytes]) -> Iterator[Record]:
    """The objects of a JSON file: the elements of one array, or values one after the other; position counts them."""
    text, position = _Window(stream), 0
    try:
        while text.skip_separators():
            value = text.next_value()
            position += 1
            yield position, value if isinstance(value, dict) else Rejection("not_an_object", type_name(value))
    except Rejection as rejection:
        yield position + 1, rejection


def csv_rows(stream: IO[bytes]) -> Iterator[Record]:
    """The rows of a CSV file with a header, every value a text, an empty one None; position is the row."""
    csv.field_size_limit(MAX_RECORD_BYTES)
    rows = csv.reader(codecs.iterdecode(stream, "utf-8-sig", "surrogateescape"), strict=True)
    position = 0
    try:
        header = next(rows, [])
        for row in rows:
            if row:
                position += 1
                yield position, _csv_object(header, row)
    except csv.Error:
        yield position + 1, Rejection("malformed_row", "a quote is not closed, or text follows it; the rest is skipped")


def parse_json(text: bytes | str) -> Any:
    """Reads JSON; NaN and infinities, which JSON does not know, become null, integers over 64 bits floats.

    Raises:
        Rejection: not_utf8 or not_json.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _parse_leniently(text)


def _parse_leniently(text: bytes | str) -> Any:
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8", "surrogatepass")
        return json.loads(decoded, parse_constant=lambda _: None)
    except UnicodeDecodeError:
        raise Rejection("not_utf8") from None
    except (ValueError, RecursionError):
        raise Rejection("not_json") from None


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes | Rejection]]:
    position = 0
    while line := stream.readline(MAX_RECORD_BYTES):
        position += 1
        if len(line) == MAX_RECORD_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(_CHUNK)) and not rest.endswith(b"\n"):
                pass
            yield position, Rejection("line_too_long", f"over {MAX_RECORD_BYTES} bytes")
        else:
            yield position, line.removeprefix(codecs.BOM_UTF8) if position == 1 else line


def _object(line: bytes) -> dict[str, Any] | Rejection:
    try:
        value = parse_json(line)
    except Rejection as rejection:
        return rejection
    return value if isinstance(value, dict) else Rejection("not_an_object", type_name(value))


def _csv_object(header: list[str], row: list[str]) -> dict[str, Any] | Rejection:
    if len(row) != len(header):
        return Rejection("malformed_row", f"{len(row)} fields, the header has {len(header)}")
    if any("\udc80" <= character <= "\udcff" for value in row if not value.isascii() for character in value):
        return Rejection("not_utf8")
    return {name: value or None for name, value in zip(header, row, strict=True)}


class _Window:
    """A part of a JSON text, grown until the next value is whole and dropped behind it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._decoder = json.JSONDecoder(parse_constant=lambda _: None)
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._start = 0
        self._ended = False
        self._open_arrays = 0

    def skip_separators(self) -> bool:
        """Moves to the next value; false at the end.

        Raises:
            Rejection: The text ends inside an array.
        """
        while True:
            while self._start < len(self._text) and (character := self._text[self._start]) in " \t\r\n[],":
                self._start += 1
                self._open_arrays += {"[": 1, "]": -1}.get(character, 0)
            if self._start < len(self._text):
                return True
            if not self._grow(_CHUNK):
                if self._open_arrays > 0:
                    raise Rejection("not_json", "the array is not closed")
                return False

    def next_value(self) -> Any:
        """Reads one value."""
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._start)
            except RecursionError:
                raise Rejection("not_json", "nested too deeply") from None
            except ValueError:
                # Doubling keeps the number of tries, and so the time, linear in the value's size.
                if len(self._text) > MAX_RECORD_BYTES or not self._grow(max(_CHUNK, len(self._text))):
                    raise Rejection("not_json", "the rest of the file is skipped") from None
            else:
                self._start = end
                return value

    def _grow(self, size: int) -> bool:
        if self._ended:
            return False
        data = self._stream.read(size)
        self._ended = not data
        try:
            self._text = self._text[self._start :] + self._decode.decode(data, final=self._ended)
        except UnicodeDecodeError:
            raise Rejection("not_utf8", "the rest of the file is skipped") from None
        self._start = 0
        return not self._ended
