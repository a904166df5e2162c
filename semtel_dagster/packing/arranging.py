"""Which calls a run makes in company: the same answer for the run and for the plan before it.

Belongs here: windows of conversations and what is packed in one. Making the calls belongs in `session`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from semtel_dagster.packing.packs import FRAME_TOKENS, Conversation, Pack, form, order

WINDOW_ROWS = 8_192
WINDOW_TOKENS = 16_000_000


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
) -> tuple[list[Pack], list[Conversation]]:
    """Which calls are made in company, and which conversations are asked singly.

    Args:
        conversations: Those that lack the answers of the same classifiers.
        members: These classifiers; empty: the conversations may not be asked in company.
        size: Conversations in a pack, at most.
        room: Tokens of the text of a pack for members and a size.
        seed: Of order and ids.
    """
    packs: list[Pack] = []
    rest = list(conversations)
    if members and size > 1:
        most = room(members, size)
        rest = [each for each in conversations if each.n_tokens + FRAME_TOKENS > most]
        fits = [each for each in conversations if each.n_tokens + FRAME_TOKENS <= most]
        for some in form(order(fits, seed), size, most, seed):
            if len(some) > 1:
                packs.append(Pack(members, some, seed))
            else:
                rest += some
    if len(members) > 1:
        return [*packs, *(Pack(members, (each,), seed, framed=False) for each in rest)], []
    return packs, rest
