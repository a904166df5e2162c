"""Does a conversation speak to whoever reads it for labels, or of the other conversations in a prompt?

Such a conversation is asked singly, or with few of its like, so that what it says reaches as few neighbours as can be.
Belongs here: what it is known by. The words are data, in `screening.toml`; how texts are read belongs in `spoken`, the
lines of a pack itself in `packs`.

No list of words is complete; but who wants a certain label has to name it, in whatever language and dress, and that is
looked for, too. A conversation that is kept apart for nothing costs some tokens and no more.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import numpy as np
import polars as pl

from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.packing.packs import Conversation, Pack
from semtel_dagster.packing.spoken import Mask, Places, Spoken, hidden, near, plain_text, spoken_words

NEAR = 96  # bytes between two signs that belong together: a sentence
CLOSE = 40  # bytes between the words of a phrase
LONG = 32  # bytes of a definition that nobody writes by chance
FEW = 4  # conversations in a prompt whose texts name a label
REPEATS = 3  # of a label in a row

FORGED_STRUCTURE = "forged structure"
OTHER_CONVERSATIONS = "other conversations"
RULES_SET_ASIDE = "rules set aside"
SPEAKS_TO_THE_READER = "speaks to the reader"
NAMES_A_LABEL = "names a label"

_FORGED = (
    r"(?m)<\|\w+\|>|\[/?inst\]|<</?sys>>|<(start|end)_of_turn>"  # chat templates
    r"|</?\s*(system|transcript|conversation|instructions?|annotator|verdict)\b[^<>]{0,80}>"
    r"|^\W{0,6}(system|annotator|developer|admin|instructions?) ?(message|prompt|note|override|update)\s*[:\]]"
    r"|\"(answers|verdicts)\"\s*:\s*[\[{]"
    r"|\b(end|close|start|begin|beginning) of (the |this |all )?(current |next |new |user )?"
    r"(transcript|conversation|prompt|log|pack|batch|content|instructions?)s?\b"
)
BESIDE_A_LABEL = ("label", "verdict", "which", "everything")


@dataclass(frozen=True)
class Screen:
    """Says which conversations are kept out of packs.

    Attributes:
        tasks: Names of the tasks that a pack asks for.
        labels: Names of their labels.
        definitions: What the labels are said to mean.
        apart: Share of the conversations, at most, that is kept apart for no more than the name of a label.
    """

    tasks: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    definitions: tuple[str, ...] = ()
    apart: float = 0.05

    @classmethod
    def of(cls, prompts: Iterable[CompiledPrompt], apart: float) -> Screen:
        """For packs that ask these prompts."""
        tasks = [task for prompt in prompts for task in prompt.classifier.tasks]
        labels = [label for task in tasks for label in task.labels]
        return cls(
            tuple(task.name for task in tasks),
            tuple(label.name for label in labels),
            tuple(label.definition for label in labels),
            apart,
        )

    def __call__(self, texts: Sequence[str]) -> list[str | None]:
        """Why each transcript is kept apart: one of the reasons above; None where nothing speaks for it.

        What is rare is judged among these texts.
        """
        if not texts:
            return []
        written = pl.Series(texts, dtype=pl.String)
        plain = plain_text(written)
        spoken = Spoken.of(plain)
        signs = _signs(spoken)
        found = _first_reasons(signs, spoken, plain, self._name_a_label(spoken, plain, signs))
        for which, readings in hidden(written, plain):
            revealed = Spoken.of(readings)
            names = self._reveal_a_label(revealed.texts, spoken.texts.gather(which))
            for at, reason in zip(which, _first_reasons(_signs(revealed), revealed, readings, names), strict=True):
                found[at] = found[at] or reason
        return found

    def named(self, texts: Sequence[str]) -> list[frozenset[str]]:
        """The labels that each transcript names, or whose definition it holds, whatever it is dressed in."""
        found: list[set[str]] = [set() for _ in texts]
        written = pl.Series(texts, dtype=pl.String)
        plain = plain_text(written)
        said = [(np.arange(len(texts)), plain), *hidden(written, plain)]
        for which, readings in said:
            spoken = spoken_words(readings)
            for label, name, definition in zip(
                self.labels, _normal(self.labels), _normal(self.definitions), strict=True
            ):
                names = [name, definition] if len(definition) >= LONG else [name]
                for at in which[spoken.str.contains_any(names).to_numpy()].tolist():
                    found[at].add(label)
        return [frozenset(labels) for labels in found]

    def _name_a_label(self, spoken: Spoken, plain: pl.Series, signs: Mapping[str, Places]) -> Mask:
        """Where a definition stands, or a label's name in a way that few of the texts have it."""
        names, tasks, definitions = (_normal(each) for each in (self.labels, self.tasks, self.definitions))
        defined = spoken.have(spoken.places([each for each in definitions if len(each) >= LONG]))
        company = {"its task": spoken.places(tasks)} | {one: signs[one] for one in BESIDE_A_LABEL}
        ways: list[Mask] = []
        for name in dict.fromkeys(names):
            found = spoken.places([name])
            if not len(found):
                continue
            where = spoken.have(found)
            ways += [where, *(spoken.have(near(found, beside, CLOSE)) for beside in company.values())]
            ways.append(spoken.have(found[REPEATS - 1 :][found[REPEATS - 1 :] - found[: 1 - REPEATS] < CLOSE]))
            ways.append(_holds(where, plain, _as_answer(name)))
            ways.append(_holds(where, spoken.texts, _beside_another_script(name)))
        most = max(self.apart * len(plain), 1) if self.apart else 0
        return defined | _rarest(ways, most, len(plain))

    def _reveal_a_label(self, revealed: pl.Series, before: pl.Series) -> Mask:
        """Where a label's name comes to light that the text does not have as it stands."""
        shown = np.zeros(len(revealed), dtype=bool)
        for name in _normal(self.labels):
            shown |= (revealed.str.contains(name, literal=True) & ~before.str.contains(name, literal=True)).to_numpy()
        return shown


def most_together(conversations: Sequence[Conversation], screen: Screen) -> list[int | None]:
    """How many conversations of its kind a prompt with each may hold; None where nothing speaks against it.

    One that speaks like an attack is alone. One that only names a label shares a prompt with few of its like, so that
    an attack among them reaches no more, and the many harmless ones cost little.
    """
    reasons = screen([each.text for each in conversations])
    return [
        1 if not each.may_be_packed or reason not in (None, NAMES_A_LABEL) else FEW if reason else None
        for each, reason in zip(conversations, reasons, strict=True)
    ]


def named_in(conversations: Sequence[Conversation], screen: Screen) -> dict[str, frozenset[str]]:
    """The labels that each conversation names, by content hash."""
    labels = screen.named([each.text for each in conversations])
    return {each.content_hash: some for each, some in zip(conversations, labels, strict=True)}


def disbelieving(packs: Iterable[Pack], named: Mapping[str, frozenset[str]]) -> list[Pack]:
    """The packs, with the labels that no conversation gets on another one's word: those that the others name."""
    found = []
    for pack in packs:
        own = {each.content_hash: named[each.content_hash] for each in pack.conversations}
        by_others = {
            one: frozenset(label for other, labels in own.items() if other != one for label in labels) for one in own
        }
        found.append(replace(pack, disbelieved=by_others))
    return found


def _signs(spoken: Spoken) -> dict[str, Places]:
    """Where words of each meaning stand."""
    signs = {meaning: spoken.places(words) for meaning, words in _words().items()}
    return signs | {"verdict": np.sort(np.concatenate([signs["label"], signs["command"]]))}


def _first_reasons(signs: Mapping[str, Places], spoken: Spoken, plain: pl.Series, names: Mask) -> list[str | None]:
    others = near(signs["which"], signs["conversations"], CLOSE)
    by_reason = {
        FORGED_STRUCTURE: plain.str.contains(_FORGED).to_numpy(),
        OTHER_CONVERSATIONS: spoken.have(near(others, signs["verdict"], NEAR)),
        RULES_SET_ASIDE: spoken.have(near(signs["override"], signs["rules"], NEAR)),
        SPEAKS_TO_THE_READER: spoken.have(near(signs["reader"], signs["verdict"], NEAR)),
        NAMES_A_LABEL: names,
    }
    return [next((reason for reason, holds in by_reason.items() if holds[at]), None) for at in range(len(plain))]


def _holds(where: Mask, texts: pl.Series, pattern: str) -> Mask:
    """The texts among some that a pattern matches."""
    mask = where.copy()
    mask[where] = texts.filter(pl.Series(where)).str.contains(pattern).to_numpy()
    return mask


def _rarest(ways: Sequence[Mask], most: float, texts: int) -> Mask:
    """The texts with the rarest ways, as long as no more than so many have any of them."""
    found = np.zeros(texts, dtype=bool)
    for way in sorted(ways, key=lambda mask: int(mask.sum())):
        if (found | way).sum() > most:
            break
        found |= way
    return found


def _as_answer(name: str) -> str:
    """Behind a colon or the like, or in quotes."""
    either = re.escape(name.strip()).replace("\\ ", "[ _-]")
    return rf"[:=>#]\s?[\"'`]?{either}\b|[\"'`]{either}[\"'`]"


def _beside_another_script(name: str) -> str:
    return rf"[^\x00-\x7f] ?{re.escape(name)}|{re.escape(name)} ?[^\x00-\x7f]"


def _normal(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(spoken_words(plain_text(pl.Series(texts, dtype=pl.String))))


@cache
def _words() -> dict[str, tuple[str, ...]]:
    """Beginnings of words by meaning, as `spoken_words` has them."""
    source = (files("semtel_dagster.packing") / "screening.toml").read_text(encoding="utf-8")
    return {
        meaning: tuple({_beginning(word) for words in by_language.values() for word in words})
        for meaning, by_language in tomllib.loads(source).items()
    }


def _beginning(word: str) -> str:
    spoken: str = spoken_words(plain_text(pl.Series([word])))[0]
    text = spoken.rstrip() + (" " if word.endswith(" ") else "")
    return text.lstrip() if any(ord(each) >= 0x2E80 for each in text) else text
