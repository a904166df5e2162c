"""Which label a spelling means: exact, alias, inflection, number, edit distance; or none, with the reason.

A spelling that two labels could claim is never decided. Finding the spelling inside an answer belongs in `extract`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rapidfuzz.distance import OSA

from semtel_dagster.classifiers import Task
from semtel_dagster.labels import reasons
from semtel_dagster.labels.normalise import clean, compact, comparable, stemmed
from semtel_dagster.labels.parsed import CLEANED, EXACT, MATCHED

LONGEST_VALUE = 400
LONGEST_SPELLING = 60
MAX_SEPARATORS = 12
_REMEMBERED = 4096
_FAR = 5  # typing errors from which on a spelling is no rival of the nearest one

_NEGATION = re.compile(
    r"(?i)(?<!\w)(?:not|no|non|isn'?t|aren'?t|neither|nor|never|cannot|can'?t|without|nicht|kein\w*|weder|pas|aucun\w*|não|"
    r"ningun\w*|sin|не|нет|ни)(?!\w)|n't\b|[不非没無]"
)
_DETAIL = r"[\n,;:|()\[\]{}—–.!?]|\s-+\s|\b(?:because|since|given|due to|as the|weil|porque|parce que|car)\b|因为"
_ALTERNATIVE = r"[/+&、]|\b(?:or|and|vs|versus|und|oder|ou|et|y|e|o|и|или)\b|[和或及]"
_SEPARATOR = re.compile(rf"(?i)\s*(?:(?P<detail>{_DETAIL})|(?P<alternative>{_ALTERNATIVE}))\s*")
_STRONG = re.compile(rf"(?i){_DETAIL}|[/+、]|\b(?:or|vs|versus|oder|ou|или)\b")
_WEAK = re.compile(rf"(?i){_DETAIL}|{_ALTERNATIVE}")
_HEDGE = re.compile(
    r"(?i)^(?:(?:it'?s|is|maybe|perhaps|possibly|probably|likely|also|partly|mainly|mostly|primarily|primary|best|an?|the|in|about|"
    r"very|extremely|highly|strongly|quite|rather|fairly|generally|moderately|somewhat|slightly)\s+)+"
)
_TAIL = re.compile(r"(?i)\s+(?:category|label|topic|class|level|domain|type)$")
_MARK = re.compile(r"^(?:[-*•#>\s]|\(?\d{1,2}[.)]\s|[A-Za-z][.)]\s)+")
_LEVEL = re.compile(
    r"(?i)^(?:(?:level|grade|stage|rating|number|no|stufe|niveau|nivel|等级|级别)\s*)?(\d{1,4}(?:\.0+)?|[a-z]+)"
    r"(?:\s*(?:/|of|out of|von|de|sur)\s*(\d{1,4}))?$"
)
_NUMBER_WORDS = {
    w: n for n, w in enumerate(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], 1)
}


@dataclass(frozen=True, slots=True)
class Match:
    """A label and how it was found (exact, cleaned, matched), or None and why not."""

    label: str | None
    how: str


class Matcher:
    """Matches spellings to the labels of one task."""

    def __init__(self, task: Task) -> None:
        self.task = task
        # Spellings come again and again; the names are there from the start.
        self._known = {label.name: Match(label.name, EXACT) for label in task.labels}
        self._spelled: dict[str, Match] = {}
        self._stems: dict[str, Match] = {}
        for label in task.labels:
            for spelling in (label.name, *label.aliases):
                how = CLEANED if spelling == label.name else MATCHED
                for key in {comparable(spelling), compact(spelling)} - {""}:
                    _claim(self._spelled, key, Match(label.name, how))
                _claim(self._stems, stemmed(spelling), Match(label.name, MATCHED))
        # Aliases are near to more words than names are, so only long ones take part in edit distance.
        near = [(comparable(label.name), label.name, 5) for label in task.labels]
        near += [(comparable(alias), label.name, 8) for label in task.labels for alias in label.aliases]
        # Typing errors rarely hit the first letter, and a different one is often another word.
        self._near: dict[str, list[tuple[str, str]]] = {}
        for spelling, name, shortest in near:
            if len(spelling) >= shortest:
                self._near.setdefault(spelling[0], []).append((spelling, name))

    def match(self, spelling: str) -> Match:
        """The label that a short text means; the text holds the label and perhaps a remark after it."""
        found = self._known.get(spelling)
        if found is None:
            found = self._match(spelling)
            if len(spelling) <= LONGEST_SPELLING and len(self._known) < _REMEMBERED:
                self._known[spelling] = found
        return found

    def _match(self, spelling: str) -> Match:
        text = _MARK.sub("", clean(spelling[:LONGEST_VALUE])).strip(" \t\n\"'`*_“”‘’«»「」『』.,;:!?<>#")
        if not text:
            return Match(None, reasons.NO_LABEL)
        for reading in (text, _TAIL.sub("", _HEDGE.sub("", text))):
            found = self._whole(reading, near=False)
            if found.label or found.how in (reasons.AMBIGUOUS, reasons.SEVERAL_LABELS):
                return found
        remarked = self._with_remark(text)
        if remarked:
            return remarked
        return self._whole(_TAIL.sub("", _HEDGE.sub("", text)), near=True)

    def name_of(self, spelling: str) -> str | None:
        """The label whose own name this is, letter case and punctuation aside; aliases do not count."""
        found = self._spelled.get(comparable(spelling))
        return found.label if found and found.how == CLEANED else None

    def starting_with(self, beginning: str) -> Match:
        """The one label whose name begins so, for an answer that was cut off inside its label."""
        begun = " ".join(clean(beginning).casefold().split())
        labels = [label.name for label in self.task.labels if label.name.casefold().startswith(begun)]
        if len(begun) < 4 or not labels:
            return self.match(beginning)
        return Match(labels[0], MATCHED) if len(labels) == 1 else Match(None, reasons.AMBIGUOUS)

    def level(self, number: float) -> Match:
        """The label at a place of an ordinal scale, counted from 1."""
        labels = self.task.labels
        # With a score in the same answer, a number in the label's place may be that score.
        if not self.task.ordinal or self.task.score or not number.is_integer() or not 1 <= number <= len(labels):
            return Match(None, reasons.BAD_NUMBER)
        return Match(labels[int(number) - 1].name, MATCHED)

    def _whole(self, text: str, *, near: bool) -> Match:
        """A text that is a label and nothing more."""
        found = self._spelled.get(comparable(text)) or self._spelled.get(compact(text))
        if found:
            return found
        numbered = self._numbered(text)
        if numbered:
            return numbered
        if _NEGATION.search(text):
            return Match(None, reasons.NEGATED)
        inflected = self._stems.get(stemmed(text))
        if inflected:
            return self._undivided(text, inflected)
        return self._undivided(text, self._nearest(comparable(text))) if near else Match(None, reasons.UNKNOWN_LABEL)

    def _undivided(self, text: str, found: Match) -> Match:
        """A loose match of a whole text, unless its parts name another label: "health/careers" is no "health care"."""
        parted = found.label and set(self._spelled_in(text)) - {found.label}
        return Match(None, reasons.SEVERAL_LABELS) if parted else found

    def _numbered(self, text: str) -> Match | None:
        found = _LEVEL.match(text)
        if not found:
            return None
        figure, out_of = found.groups()
        number = _NUMBER_WORDS.get(figure.casefold()) if figure.isalpha() else float(figure)
        if number is None:
            return None
        if out_of and float(out_of) != len(self.task.labels):
            return Match(None, reasons.BAD_NUMBER)
        return self.level(float(number))

    def _with_remark(self, text: str) -> Match | None:
        """A label followed by a remark; another label in the remark makes it several."""
        cuts = list(_SEPARATOR.finditer(text))[:MAX_SEPARATORS]
        for near in (False, True):
            for cut in reversed(cuts):
                head = self._whole(_HEDGE.sub("", text[: cut.start()]), near=near)
                if head.label is None:
                    continue
                others = set(self._spelled_in(text[cut.end() :]))
                if others - {head.label} or (cut["alternative"] and not others):
                    return Match(None, reasons.SEVERAL_LABELS)
                return Match(head.label, head.how)
        return None

    def _spelled_in(self, remark: str) -> Iterable[str]:
        for parts in ([remark], _STRONG.split(remark), _WEAK.split(remark)):
            for part in parts:
                plain = _HEDGE.sub("", part.strip())
                found = self._spelled.get(comparable(plain)) or self._numbered(plain)
                if found and found.label:
                    yield found.label

    def _nearest(self, text: str) -> Match:
        """The label within a few typing errors, if every other one is clearly farther."""
        if not 5 <= len(text) <= LONGEST_SPELLING:
            return Match(None, reasons.UNKNOWN_LABEL)
        distances: dict[str, int] = {}
        for spelling, label in self._near.get(text[0], ()):
            if abs(len(spelling) - len(text)) <= _FAR:
                distance = OSA.distance(text, spelling, score_cutoff=_FAR)
                distances[label] = min(distance, distances.get(label, distance))
        ranked = sorted((distance, label) for label, distance in distances.items())
        if not ranked or ranked[0][0] > _allowed(len(text)):
            return Match(None, reasons.UNKNOWN_LABEL)
        if len(ranked) > 1 and ranked[1][0] < ranked[0][0] + 2:
            return Match(None, reasons.AMBIGUOUS)
        return Match(ranked[0][1], MATCHED)


def _allowed(length: int) -> int:
    return 1 if length < 8 else 2 if length < 14 else 3


def _claim(table: dict[str, Match], key: str, match: Match) -> None:
    """Writes a spelling down for a label; a name wins over an alias, two equal claims spoil each other."""
    owner = table.get(key)
    if owner is None or (owner.label != match.label and match.how == CLEANED and owner.how != CLEANED):
        table[key] = match
    elif owner.label != match.label and not (owner.how == CLEANED and match.how != CLEANED):
        table[key] = Match(None, reasons.AMBIGUOUS)
