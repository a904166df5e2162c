"""What an answer says outside JSON: without its reasoning, in tags, `key: value` lines, tables, prose.

JSON belongs in `json_fields`; what a value means, in `matching` and `scores`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from semtel_dagster.labels.json_fields import Field
from semtel_dagster.labels.normalise import clean

MAX_CHARACTERS = 16_000
MAX_TAGS = 200
MAX_FIELDS = 100

_THINKING = r"think|thinking|thought|thoughts|reasoning|reflection|analysis|scratchpad"
_THOUGHT = re.compile(rf"(?is)<({_THINKING})\b[^>]{{0,80}}>.*?</\1\s*>")
_THOUGHT_END = re.compile(rf"(?is)^.*</(?:{_THINKING})\s*>")
_THOUGHT_START = re.compile(rf"(?is)<(?:{_THINKING})\b[^>]{{0,80}}>.*\Z")
_CHANNEL = re.compile(r"(?s)^.*<\|message\|>")
_CONTROL_TOKEN = re.compile(r"<\|[\w ]{1,30}\|>|</?s>|\[/?INST\]")
_FINAL = re.compile(
    r"(?i)(?:final (?:answer|label|classification|output|verdict)|corrected answer|correction|最终答案|"
    r"endgültige antwort|respuesta final|réponse finale)\W{0,6}(?:is\b)?"
)
_FENCE = re.compile(r"```[\w+-]*")
_TAG = re.compile(r"<([A-Za-z_][\w .-]{0,40})>([^<>]{0,300})</\1\s*>")
_EMPHASIS = re.compile(r"\*\*([^*\n]{1,60})\*\*|`([^`\n]{1,60})`|[\"“„«「『]([^\"”“«»」』\n]{1,60})[\"”“»」』]")
_LEADING_OVER = re.compile(
    r"(?i)[\s\"'*_`]*(?:[,;&.]|\b(?:and|while|und|y|et)\b)?[\s*_`\"']*(?:\b(?:the|its|their)\b)?[\s*_`\"']*$"
)
_ABOUT = re.compile(
    r"(?i)\b(?:it|this|conversation|transcript|chat|discussion|dialogue)(?:'s| is| was)(?: \w+ly)? about\s+(.{1,80})"
)
_THOUGHT_OF = re.compile(
    r"(?i)^(?:i (?:think|believe|guess|would say|'d say),? )?(?:it'?s|it is|this is|that is|that's)\s+(.{1,80})$"
)
_CLASSED = re.compile(
    r"(?i)(?:classif\w+|categori[sz]\w+|label+ed|label|falls?|belongs?|rate|rated|einzuordnen|归类|属于)"
    r"(?:\s+[\w']+){0,6}?\s*(?:\b(?:as|into|under|to|in|als|unter|comme|como)\b|为|于)\s*[:：]?\s*(.{1,80})"
)


def spoken(raw: str) -> str:
    """An answer without its reasoning and control tokens, cut to a size that can be searched."""
    text = clean(raw)
    if len(text) > 4 * MAX_CHARACTERS:
        text = text[: 2 * MAX_CHARACTERS] + "\n" + text[-2 * MAX_CHARACTERS :]
    if "<|" in text:
        text = _CONTROL_TOKEN.sub("", _CHANNEL.sub("", text))
    if "<" in text:
        # Unpaired openings by the hundred would make the search for pairs quadratic.
        text = _THOUGHT.sub("", text) if text.count("<") <= MAX_TAGS else text
        text = _THOUGHT_START.sub("", _THOUGHT_END.sub("", text))
        text = _CONTROL_TOKEN.sub("", text)
    text = text.strip()
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS // 2] + "\n" + text[-MAX_CHARACTERS // 2 :]


def final_part(text: str) -> str | None:
    """What follows the last "final answer", if the answer says so."""
    ends = [found.end() for found in _FINAL.finditer(text)]
    return text[ends[-1] :].strip() if ends and text[ends[-1] :].strip() else None


def tag_fields(text: str) -> list[Field]:
    """The fields of XML-like elements."""
    return [Field(key, value.strip()) for key, value in _TAG.findall(text)]


@dataclass(frozen=True, slots=True)
class KeyPattern:
    """Finds a field's name and what is said of it, on one line.

    Attributes:
        word: The beginning of the name in lower case; where it is missing there is no need to search.
        pattern: Its first group is the name, its second what follows.
    """

    word: str
    pattern: re.Pattern[str]

    def may_occur(self, text: str) -> bool:
        """Whether a text is worth a search."""
        # Letters outside ASCII may match others, such as the long s.
        return not text.isascii() or self.word in text.lower()

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Every place of a text where something is said of the field."""
        return self.pattern.finditer(text) if self.may_occur(text) else iter(())


def line_fields(text: str, keys: Sequence[KeyPattern], others: re.Pattern[str] | None = None) -> list[Field]:
    """The fields that are written `key: value`, `key is value`, or as cells of a table.

    Args:
        text: What to search.
        keys: Patterns of the keys, from `key_pattern`.
        others: Finds the keys of other fields, where a value on the same line ends.
    """
    fields: list[Field] = []
    keys = [key for key in keys if key.may_occur(text)]
    if not keys and "|" not in text:
        return fields
    for line in text.split("\n"):
        for key in keys:
            found = islice(key.finditer(line), MAX_FIELDS)
            fields += [Field(match[1], _before(others, match[2]) if others else match[2]) for match in found]
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.count("|") >= 2 else []
        if len(cells) >= 2:
            fields.append(Field(cells[0], cells[1]))
        if len(fields) > MAX_FIELDS:
            break
    return fields[:MAX_FIELDS]


def name_pattern(names: Iterable[str]) -> re.Pattern[str]:
    """A pattern that finds any of some field names, however their words are joined."""
    return re.compile(rf"(?i)(?<![A-Za-z_])(?:{'|'.join(map(_words, names))})(?![a-z])")


def key_pattern(name: str) -> KeyPattern:
    """What finds a field's name and what is said of it, on one line."""
    words = _words(name)
    pattern = re.compile(
        rf"(?i)(?<![A-Za-z_])({words})(?:[\s_-]*(?:label|level|category))?[\"'*_`\s]*"
        r"(?:[:=]+>?|->|→|-(?=\s)|\b(?:is|are|was|would be|should be|ist|es|est)\b|是|为)[\s\"'*_`]*(.{1,120})"
    )
    return KeyPattern(re.split(r"[\s_-]+", name)[0].lower(), pattern)


def lone_values(text: str) -> list[str]:
    """The whole text, then each of its lines, as what may be a bare label."""
    bare = _FENCE.sub("\n", text).strip()
    lines = [line.strip() for line in bare.split("\n") if line.strip()]
    return [bare] if len(lines) == 1 else [bare, *lines]


def sayings(text: str) -> list[str]:
    """What prose says a conversation is classified as."""
    return [found[1] for pattern in (_CLASSED, _ABOUT, _THOUGHT_OF) for found in pattern.finditer(text)]


def emphasised(text: str) -> list[str]:
    """Short spans in bold, code or quotation marks."""
    return [next(part for part in found if part) for found in _EMPHASIS.findall(text)]


def _words(name: str) -> str:
    return r"[\s_-]*".join(re.escape(word) for word in re.split(r"[\s_-]+", name))


def _before(others: re.Pattern[str], value: str) -> str:
    """A value up to the next field's name, without the words that lead over to it."""
    return _LEADING_OVER.sub("", others.split(value, maxsplit=1)[0])
