"""Which calls a run makes in company: the same answer for the run and for the plan before it.

Belongs here: windows of conversations and what is packed in one. Making the calls belongs in `session`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from semtel_dagster.packing.packs import FRAME_TOKENS, Conversation, Pack, form, order

WINDOW_ROWS = 8_192
WINDOW_TOKENS = 16_000_000
AGAIN = 2  # the turn in which conversations are asked about again


class Window:
    """Gathers conversations until packs are formed of them: by rows and tokens, whatever batches they come in."""

    def __init__(self) -> None:
        """Starts empty."""
        self._conversations: list[Conversation] = []
        self._tokens = 0

    def add(self, conversation: Conversation) -> bool:
        """Takes a conversation in.

        Returns:
            Whether the window is full.
        """
        self._conversations.append(conversation)
        self._tokens += conversation.n_tokens
        return len(self._conversations) >= WINDOW_ROWS or self._tokens >= WINDOW_TOKENS

    def take(self) -> list[Conversation]:
        """What was gathered; the window is empty again."""
        taken, self._conversations, self._tokens = self._conversations, [], 0
        return taken


def arrange(
    conversations: Sequence[Conversation],
    members: tuple[str, ...],
    size: int,
    room: Callable[[Sequence[str], int], int],
    seed: int,
    named: Mapping[str, frozenset[str]] | None = None,
) -> tuple[list[Pack], list[Conversation]]:
    """Which calls are made in company, and which conversations are asked singly.

    Args:
        conversations: Those that lack the answers of the same classifiers.
        members: These classifiers; empty: the conversations may not be asked in company.
        size: Conversations in a pack, at most.
        room: Tokens of the text of a pack for members and a size.
        seed: Of order and ids.
        named: By content hash, the labels that each conversation names, where such are not to stand together.
    """
    packs: list[Pack] = []
    rest = list(conversations)
    if members and size > 1:
        most = room(members, size)
        rest = [each for each in conversations if each.n_tokens + FRAME_TOKENS > most]
        fits = [each for each in conversations if each.n_tokens + FRAME_TOKENS <= most]
        drawn = order(fits, seed)
        for block in [drawn] if named is None else _dealt(drawn, size, named):
            for some in form(block, size, most, seed):
                if len(some) > 1:
                    packs.append(Pack(members, some, seed))
                else:
                    rest += some
    if len(members) > 1:
        return [*packs, *(Pack(members, (each,), seed, framed=False) for each in rest)], []
    return packs, rest


def elsewhere(packs: Sequence[Pack], room: Callable[[Sequence[str], int], int], seed: int) -> list[Pack]:
    """The same conversations in other packs, none of them beside one that it has stood beside.

    Args:
        packs: As they were; each conversation is in one of them.
        room: Tokens of the text of a pack for members and a size.
        seed: Of order and ids.
    """
    by_members: dict[tuple[str, ...], list[Pack]] = {}
    for pack in packs:
        by_members.setdefault(pack.members, []).append(pack)
    others = []
    for members, some in sorted(by_members.items()):
        size = max(len(pack.conversations) for pack in some)
        blocks: list[list[Conversation]] = [[] for _ in range(max(size, len(some)))]
        for number, pack in enumerate(some):
            for at, each in enumerate(pack.conversations):
                blocks[(number + at) % len(blocks)].append(each)
        for block in blocks:
            drawn = order(block, seed, turn=AGAIN)
            others += [Pack(members, few, seed) for few in form(drawn, size, room(members, size), seed)]
    return others


def _dealt(
    conversations: Sequence[Conversation], size: int, named: Mapping[str, frozenset[str]]
) -> list[list[Conversation]]:
    """Blocks of at most `size`, in which as few as can be name the same label: like labels in a row, dealt out."""
    common = Counter(label for each in conversations for label in named[each.content_hash])

    def usual(each: Conversation) -> tuple[int, str]:
        labels = named[each.content_hash]
        return max(((common[label], label) for label in labels), default=(0, ""))

    blocks = -(-len(conversations) // size)
    alike = sorted(conversations, key=usual, reverse=True)
    return [alike[at::blocks] for at in range(blocks)]
