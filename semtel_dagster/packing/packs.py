"""Conversations in packs: which go together, in which order, under which ids, and how a pack is written.

Belongs here: pure functions of content hashes, tokens and a seed. Asking about packs belongs in `session`, reading
their answers in `unpacking`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b

from semtel_dagster.prompts.together import BEGIN, END, PROPOSED
from semtel_dagster.transcript import content_hash

ALPHABET = "bcdfghjkmnpqrstvwxz23456789"  # without vowels, so that no id is a word, and without look-alikes
ID_LENGTH = 6
FRAME_TOKENS = 24  # of the two lines around a conversation
_STRUCTURE = "==="
_SIGNS = (BEGIN, END, PROPOSED)


@dataclass(frozen=True)
class Conversation:
    """A conversation to be asked about.

    Attributes:
        content_hash: Its text's hash.
        text: The quoted transcript.
        n_tokens: Its tokens.
        lacks: The classifiers whose answer it lacks, sorted.
    """

    content_hash: str
    text: str
    n_tokens: int
    lacks: tuple[str, ...]

    @property
    def may_be_packed(self) -> bool:
        """Whether nothing in it looks like a pack's own lines.

        A quoted transcript has none at its margin. But one that quotes such lines may well be written for an
        annotator, and is better kept away from others.
        """
        text = self.text
        return not (text.startswith(_STRUCTURE) or f"\n{_STRUCTURE}" in text or any(sign in text for sign in _SIGNS))


@dataclass(frozen=True)
class Pack:
    """What one call is about.

    Attributes:
        members: The classifiers that it asks, sorted.
        conversations: In the order in which they stand.
        seed: Of the ids.
        framed: False for the one conversation of a call that only combines classifiers: it stands alone.
        disbelieved: By content hash, labels that the others name: an answer that gives the conversation one of these
            is left out, and the conversation is asked singly.
    """

    members: tuple[str, ...]
    conversations: tuple[Conversation, ...]
    seed: int = 0
    framed: bool = True
    disbelieved: Mapping[str, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def ids(self) -> dict[str, Conversation]:
        """The conversations by id."""
        return {conversation_id(each.content_hash, self.seed): each for each in self.conversations}

    @property
    def n_tokens(self) -> int:
        """Tokens of its text."""
        frames = FRAME_TOKENS * len(self.conversations) if self.framed else 0
        return frames + sum(each.n_tokens for each in self.conversations)

    @cached_property
    def key(self) -> str:
        """A name for the call: 32 hex digits."""
        parts = [",".join(self.members), str(self.framed), *(each.content_hash for each in self.conversations)]
        return content_hash("\n".join(parts))

    def text(self, proposed: Mapping[str, str] | None = None) -> str:
        """What stands in the place of the transcript.

        Args:
            proposed: By content hash, an answer to show below each conversation for a grader; one line each.
        """
        if not self.framed:
            return self.conversations[0].text
        lines = []
        for an_id, each in self.ids.items():
            lines += [f"{BEGIN} {an_id} ===", each.text, f"{END} {an_id} ==="]
            if proposed is not None:
                lines.append(f"{PROPOSED} {proposed[each.content_hash]}")
            lines.append("")
        return "\n".join(lines[:-1])


def conversation_id(hashed: str, seed: int) -> str:
    """What a pack calls a conversation: six characters that look random and that its text cannot know.

    They depend on the text's hash and the seed alone, so that an answer belongs to a text wherever it stood.
    """
    return _letters(_draw(seed, "id", hashed))


def order(conversations: Iterable[Conversation], seed: int, turn: int = 0) -> list[Conversation]:
    """The conversations in an order that only the seed, the turn and their hashes decide."""
    return sorted(conversations, key=lambda each: (_draw(seed, f"order {turn}", each.content_hash), each.content_hash))


def is_drawn(hashed: str, seed: int, share: float) -> bool:
    """Whether a conversation is in a random share of them, always the same by its hash and the seed."""
    return _draw(seed, "share", hashed) < share * 2**64


def form(conversations: Sequence[Conversation], size: int, room: int, seed: int) -> list[tuple[Conversation, ...]]:
    """Puts conversations into packs, in their order.

    Args:
        conversations: What to pack; they keep their order.
        size: Conversations in a pack, at most.
        room: Tokens of a pack's text, at most; a conversation over it gets a pack of its own.
        seed: Of the ids: two conversations with the same id never share a pack.
    """
    packs: list[tuple[Conversation, ...]] = []
    pack: list[Conversation] = []
    ids: set[str] = set()
    tokens = 0
    for each in conversations:
        an_id, more = conversation_id(each.content_hash, seed), each.n_tokens + FRAME_TOKENS
        if pack and (len(pack) >= size or tokens + more > room or an_id in ids):
            packs.append(tuple(pack))
            pack, ids, tokens = [], set(), 0
        pack.append(each)
        ids.add(an_id)
        tokens += more
    return [*packs, tuple(pack)] if pack else packs


def halves(conversations: Sequence[Conversation]) -> list[tuple[Conversation, ...]]:
    """Two packs in the place of one."""
    middle = (len(conversations) + 1) // 2
    return [tuple(part) for part in (conversations[:middle], conversations[middle:]) if part]


def _draw(seed: int, purpose: str, hashed: str) -> int:
    digest = blake2b(f"{seed}/{purpose}/{hashed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _letters(number: int) -> str:
    letters = []
    for _ in range(ID_LENGTH):
        number, at = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[at])
    return "".join(letters)
