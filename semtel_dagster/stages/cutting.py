r"""Cutting a transcript to a token budget, so that what is left is still a transcript.

A cut takes out one stretch and puts a cut mark in its place. It never splits a character (nor a letter from its
accents, nor a joined emoji), never leaves part of a marker, and names the speaker again where the text goes on in
a turn that does not begin before the cut. Frames and options belong in `truncate`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semtel_dagster.stages.tokens import count_tokens
from semtel_dagster.transcript import QUOTE, ROLES, cut_mark

MARK_TOKENS = 16  # what a cut mark, a repeated turn marker and a quote may take

_QUOTE = QUOTE.encode()
_MARKERS = tuple(f"{role}:".encode() for role in ROLES)
_CUT_NUMBER = re.compile(rb"^\[\.\.\. ([0-9]+) tokens cut \.\.\.\]$", re.MULTILINE)
_VIRAMA = 9  # the combining class of the signs that join Indic consonants
_LONGEST_CLUSTER = 32  # code points; longer ones are split, as they are no writing


@dataclass(frozen=True)
class Transcript:
    """A rendered transcript with its tokens.

    Attributes:
        data: The text in UTF-8.
        ends: Byte offset of each token's end (`tokens.token_ends`).
    """

    data: bytes
    ends: NDArray[np.int64]

    def offset(self, n_tokens: int) -> int:
        """The byte offset behind the first tokens."""
        return int(self.ends[n_tokens - 1]) if n_tokens > 0 else 0

    def tokens_before(self, offset: int) -> int:
        """How many tokens end at or before a byte offset."""
        return int(np.searchsorted(self.ends, offset, side="right"))


def cut(transcript: Transcript, max_tokens: int, head_share: float, keep_from: int = 0) -> tuple[str, int]:
    """Takes the middle, the end or the beginning out of a transcript.

    Args:
        transcript: What to cut; more tokens than `max_tokens`, or `keep_from` over 0.
        max_tokens: The most tokens of the result, mark included; MARK_TOKENS at least.
        head_share: The part of the budget that goes to the beginning; the rest goes to the end.
        keep_from: Byte offset of a turn marker before which nothing is kept, for a share of 0.

    Returns:
        The text, and its exact number of tokens: `max_tokens` at most.
    """
    n_tokens = len(transcript.ends)
    budget = min(max_tokens - MARK_TOKENS, n_tokens)
    if keep_from:
        text = _without(transcript, 0, keep_from)
        if (n_left := count_tokens(text)) <= max_tokens:
            return text, n_left
    while budget > 0:
        n_head = round(budget * head_share)
        head_end = _head_end(transcript.data, transcript.offset(n_head))
        tail_start = _tail_start(transcript.data, max(keep_from, transcript.offset(n_tokens - budget + n_head)))
        text = _without(transcript, head_end, tail_start)
        if (n_left := count_tokens(text)) <= max_tokens:
            return text, n_left
        budget -= max(1, n_left - max_tokens)
    text = _without(transcript, 0, len(transcript.data))
    return text, count_tokens(text)


def last_turns_start(data: bytes, turns: int) -> int:
    """The byte offset of the marker that opens the last so many turns; 0 if there are no more."""
    start = len(data)
    for _ in range(turns):
        start = _turn_start(data, start)
        if start <= 0:
            return 0
    return start


def _without(transcript: Transcript, head_end: int, tail_start: int) -> str:
    data = transcript.data
    head, tail = data[:head_end], data[tail_start:]
    n_cut = transcript.tokens_before(tail_start) - transcript.tokens_before(head_end)
    n_cut += sum(int(number) for number in _CUT_NUMBER.findall(data[head_end:tail_start]))
    lines = [head] if head else []
    lines.append(cut_mark(n_cut).encode())
    if tail:
        line_start = data.rfind(b"\n", 0, tail_start) + 1
        if data.startswith(_QUOTE, line_start):
            turn_start = _turn_start(data, tail_start)
            if turn_start >= head_end:
                lines.append(data[turn_start : _line_end(data, turn_start)])
            if tail_start > line_start:
                tail = _QUOTE + tail
        lines.append(tail)
    return b"\n".join(lines).decode()


def _turn_start(data: bytes, before: int) -> int:
    """The offset of the last turn marker that starts before an offset; -1 if there is none."""
    # Content lines are quoted, so a role at the start of a line is a marker.
    starts = [data.rfind(b"\n" + marker + b"\n", 0, before) + 1 for marker in _MARKERS]
    return max(starts) or (0 if before > 0 and data.startswith(_MARKERS) else -1)


def _line_end(data: bytes, offset: int) -> int:
    end = data.find(b"\n", offset)
    return len(data) if end < 0 else end


def _head_end(data: bytes, offset: int) -> int:
    """The last place at or before an offset where a kept beginning may end."""
    end = _cluster_start(data, offset)
    while end > 0:
        line_start = data.rfind(b"\n", 0, end) + 1
        if data.startswith(_QUOTE, line_start) and (end > line_start + len(_QUOTE) or data[end : end + 1] == b"\n"):
            return end
        end = line_start - 1
    return 0


def _tail_start(data: bytes, offset: int) -> int:
    """The first place at or after an offset (or a line's start just before it) where a kept end may start."""
    start = offset
    while start < len(data):
        line_start = data.rfind(b"\n", 0, start) + 1
        line_end = _line_end(data, line_start)
        if data[line_start:line_end] in _MARKERS:
            return line_start
        if data.startswith(_QUOTE, line_start):
            if start <= line_start + len(_QUOTE):
                return line_start
            if (inside := _cluster_end(data, start)) < line_end:
                return inside
        start = line_end + 1
    return len(data)


def _cluster_start(data: bytes, offset: int) -> int:
    while 0 < offset < len(data) and data[offset] & 0xC0 == 0x80:
        offset -= 1
    for _ in range(_LONGEST_CLUSTER):
        left, right = _neighbours(data, offset)
        if not belong_together(left, right):
            break
        offset -= len(left.encode())
    return offset


def _cluster_end(data: bytes, offset: int) -> int:
    while offset < len(data) and data[offset] & 0xC0 == 0x80:
        offset += 1
    for _ in range(_LONGEST_CLUSTER):
        left, right = _neighbours(data, offset)
        if not belong_together(left, right):
            break
        offset += len(right.encode())
    return offset


def _neighbours(data: bytes, offset: int) -> tuple[str, str]:
    left = data[max(0, offset - 4) : offset].decode(errors="ignore")[-1:]
    return left, data[offset : offset + 4].decode(errors="ignore")[:1]


def belong_together(left: str, right: str) -> bool:
    """Whether two characters that follow one another are parts of one sign: a letter and its accent, a joined emoji."""
    if not left or not right or left == "\n" or right == "\n":
        return False
    joiner = "\u200d"
    skin_tone_or_tag = "\U0001f3fb" <= right <= "\U0001f3ff" or "\U000e0020" <= right <= "\U000e007f"
    flag = all("\U0001f1e6" <= character <= "\U0001f1ff" for character in (left, right))
    accent = unicodedata.category(right).startswith("M")
    conjunct = unicodedata.combining(left) == _VIRAMA
    return joiner in (left, right) or accent or conjunct or skin_tone_or_tag or flag
