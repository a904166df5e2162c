"""The rules that know a form: code blocks, log lines, addresses and encoded data, white space.

Each takes the lines of every turn and gives the lines that are left. Every pattern is linear in its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

URL_KEPT, DATA_KEPT = 60, 16
LOG_LINES, LOG_ENDS = 9, 3  # a run that is shortened, and what is kept at each end of it

_FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*([\w+#.-]{0,20})\s*$")
_LOG = re.compile(
    r"^\W{0,3}\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d"
    r"|^\[?(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)\b"
    r"|^\s+at [\w$.<>/]+\("
    r'|^\s*File "[^"]+", line \d+'
)
_BLOB = re.compile(
    r"data:(?P<kind>[\w/+.-]{1,60});base64,(?P<data>[A-Za-z0-9+/=]{40,})"
    # Not followed by an accent or a joiner: its letter stays with it.
    r"|(?P<url>https?://[!-~]{100,})(?![^\x00-\u02ff])"
    r"|(?P<run>\b[0-9a-fA-F]{64,}\b|[A-Za-z0-9+/=_-]{120,})(?![^\x00-\u02ff])"
)
_INNER_SPACE = re.compile(r"(?<=\S)[ \t\u00a0\u3000]{2,}(?=\S)")
_RULER = re.compile(r"([-=_*#~.+])\1{9,}")

Lines = list[str]


def shorten_code(turns: list[Lines], keep: int) -> list[Lines]:
    """Keeps the fences and the first and last lines of long fenced blocks; the mark names lines and language."""
    return [_shorten_code(lines, keep) for lines in turns]


def shorten_logs(turns: list[Lines]) -> list[Lines]:
    """Keeps the first and last lines of long runs of log or stack lines."""
    return [_shorten_logs(lines) for lines in turns]


def shorten_blobs(turns: list[Lines]) -> list[Lines]:
    """Keeps the beginning of long addresses, base64 and hexadecimals."""
    return [[_BLOB.sub(_blob, line) if len(line) >= 64 else line for line in lines] for lines in turns]


def squeeze_white_space(turns: list[Lines]) -> list[Lines]:
    """Drops what trails, blank lines but one, and, outside code, runs of spaces within a line; shortens rulers.

    Indentation stays: it has a meaning.
    """
    return [_squeeze(lines) for lines in turns]


def blocks(lines: Lines) -> Iterator[tuple[int, int, str]]:
    """Fenced blocks as (opening fence, closing fence, language); what is not closed ends with the turn."""
    opened: tuple[int, str, str] | None = None
    for place, line in enumerate(lines):
        match = _FENCE.match(line) if "```" in line or "~~~" in line else None
        if match is None:
            continue
        if opened is None:
            opened = (place, match[1], match[2])
        elif match[1].startswith(opened[1]) and not match[2]:
            yield opened[0], place, opened[2]
            opened = None
    if opened is not None:
        yield opened[0], len(lines), opened[2]


def _shorten_code(lines: Lines, keep: int) -> Lines:
    left: Lines = []
    done = 0
    for opening, closing, language in blocks(lines):
        n_left_out = closing - opening - 1 - 2 * keep
        if n_left_out < 3:
            continue
        mark = f"[... {n_left_out} lines of {language or 'code'} left out ...]"
        left += [*lines[done : opening + 1 + keep], mark]
        done = closing - keep
    return [*left, *lines[done:]]


def _shorten_logs(lines: Lines) -> Lines:
    left: Lines = []
    for first, last, is_log in _runs(lines, _is_log):
        run = lines[first:last]
        if is_log and len(run) >= LOG_LINES:
            mark = f"[... {len(run) - 2 * LOG_ENDS} log lines left out ...]"
            run = [*run[:LOG_ENDS], mark, *run[-LOG_ENDS:]]
        left += run
    return left


def _runs(lines: Lines, test: Callable[[str], bool]) -> Iterator[tuple[int, int, bool]]:
    first, kind = 0, False
    for place, line in enumerate(lines):
        if (now := test(line)) != kind:
            if place > first:
                yield first, place, kind
            first, kind = place, now
    if first < len(lines):
        yield first, len(lines), kind


def _is_log(line: str) -> bool:
    return _LOG.match(line) is not None


def _blob(match: re.Match[str]) -> str:
    if match["data"]:
        return f"[{len(match['data'])} characters of base64, {match['kind']}]"
    text, kept = match[0], URL_KEPT if match["url"] else DATA_KEPT
    return f"{text[:kept]}…[{len(text) - kept} more characters]"


def _squeeze(lines: Lines) -> Lines:
    in_code = {place for opening, closing, _ in blocks(lines) for place in range(opening, closing)}
    left: Lines = []
    for place, line in enumerate(lines):
        text = line.rstrip()
        if place not in in_code:
            text = _INNER_SPACE.sub(" ", text)
        text = _RULER.sub(lambda match: match[1] * 8, text)
        if text or (left and left[-1]):
            left.append(text)
    while left and not left[-1]:
        left.pop()
    return left or [""]
