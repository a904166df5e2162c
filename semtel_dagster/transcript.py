r"""The one quoted form of a conversation: how it is written for a model, and how it is read back.

A transcript is lines joined by `\n`. A line at column 0 is structure: a turn marker (`user:`, `assistant:`,
`system:`, `tool:`) or a cut mark (`[... 1234 tokens cut ...]`). Every line of content is quoted by `> `, so
nothing inside a conversation, whatever line separator it uses, can forge a marker.

Reading sources and shortening transcripts do not belong here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

ROLES = ("user", "assistant", "system", "tool")
QUOTE = "> "
REPLACEMENT = "\ufffd"
LINE_SEPARATORS = r"\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]"
"""What becomes `\\n`, as a pattern."""
UNSAFE = r"[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f]"
"""Controls other than tab and the line separators, as a pattern."""

_ROLE_OF_MARKER = {f"{role}:": role for role in ROLES}
_CUT = re.compile(r"\[\.\.\. [0-9]+ tokens cut \.\.\.\]")
_UNSAFE = re.compile(rf"{UNSAFE}|[\ud800-\udfff]")  # also the code points that no encoding can carry


@dataclass(frozen=True)
class Turn:
    """One message of a conversation: who wrote it (one of ROLES), and its text."""

    role: str
    content: str


def normalise(content: str) -> str:
    r"""Text as a transcript can carry it.

    Every line separator (`\n`, `\r\n`, `\r`, `\v`, `\f`, U+001C to U+001E, U+0085, U+2028, U+2029) becomes `\n`;
    NUL, every other C0 or C1 control but tab, DEL, and lone surrogates become U+FFFD. Everything else stays,
    bidirectional controls included: they act within their quoted line only.
    """
    return "\n".join(_lines(content))


def render(turns: Iterable[Turn]) -> str:
    """Writes turns as a transcript, content normalised and quoted, without a newline at the end.

    Raises:
        ValueError: A role is none of ROLES.
    """
    return "\n".join([line for turn in turns for line in (turn_marker(turn.role), *quote(turn.content))])


def parse(text: str) -> list[Turn]:
    r"""Reads a transcript back: `parse(render(turns))` gives the turns with their content normalised.

    Cut marks are skipped; the parts of a turn on both sides of one are joined by `\n`.

    Raises:
        ValueError: A line is neither marker nor quoted, or content comes before the first marker; the message
            names the line's number, not its text.
    """
    turns: list[tuple[str, list[str]]] = []
    for number, line in enumerate(text.split("\n") if text else (), start=1):
        if line.startswith(QUOTE) and turns:
            turns[-1][1].append(line[len(QUOTE) :])
        elif line in _ROLE_OF_MARKER:
            turns.append((_ROLE_OF_MARKER[line], []))
        elif not is_cut_mark(line):
            raise ValueError(
                f"line {number} is not part of a transcript: every line is a marker or starts with {QUOTE!r}"
            )
    return [Turn(role, "\n".join(lines)) for role, lines in turns]


def turn_marker(role: str) -> str:
    """The line that opens a turn.

    Raises:
        ValueError: The role is none of ROLES.
    """
    if role not in ROLES:
        raise ValueError(f"the role must be one of {', '.join(ROLES)}")
    return f"{role}:"


def quote(content: str) -> list[str]:
    """The quoted lines of a turn's content; one at least."""
    return [QUOTE + line for line in _lines(content)]


def cut_mark(n_tokens: int) -> str:
    """The line that says how many tokens were cut in its place."""
    return f"[... {n_tokens} tokens cut ...]"


def is_cut_mark(line: str) -> bool:
    """Whether a line of a transcript is a cut mark."""
    return _CUT.fullmatch(line) is not None


def content_hash(text: str) -> str:
    """32 hex digits of blake2b over the text's UTF-8: the name under which its answers are kept.

    Raises:
        UnicodeEncodeError: The text holds lone surrogates; a rendered transcript never does.
    """
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _lines(content: str) -> list[str]:
    # str.splitlines knows exactly the separators of the rule, but drops an empty last line: hence the guard.
    lines = (_UNSAFE.sub(REPLACEMENT, content) + "|").splitlines()
    lines[-1] = lines[-1][:-1]
    return lines
