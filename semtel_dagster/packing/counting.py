"""What a run in company will take, without asking: calls and tokens of the packs that it would form.

Belongs here: arithmetic over the same windows and packs as in `session`. Rates and prices belong in `planning`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.packing.arranging import Window, arrange, elsewhere
from semtel_dagster.packing.learning import FEWEST
from semtel_dagster.packing.packs import Conversation, Pack, is_drawn
from semtel_dagster.packing.rounds import room
from semtel_dagster.prompts.together import GRADE_TOKENS, ID_TOKENS, combined, grading, packed
from semtel_dagster.reducers import PackSettings

Members = tuple[str, ...]


@dataclass(frozen=True)
class Takes:
    """What calls take.

    Attributes:
        calls: How many, those included that earlier runs let expect about answers that come cut or are doubted.
        input_tokens: What they send.
        output_tokens: What comes back.
        exact: False where the size of packs is yet to be learned: then it is an upper bound.
    """

    calls: int = 0
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    exact: bool = True

    def __add__(self, other: Takes) -> Takes:
        return Takes(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.exact and other.exact,
        )


@dataclass(frozen=True)
class Counting:
    """Counts the calls of one classifier's run.

    Attributes:
        target: The classifier.
        prompts: Its prompt and those of its group, by name.
        pack: The settings of packs.
        learned: By classifiers asked together, the size that earlier runs learned; None: none yet.
        answer_tokens: By classifier, tokens of a usual answer.
        markup: Tokens of a call besides its texts.
        again: By size of packs, further calls a packed conversation, as earlier runs had them.
    """

    target: str
    prompts: Mapping[str, CompiledPrompt]
    pack: PackSettings
    learned: Callable[[Members], int | None]
    answer_tokens: Mapping[str, float]
    markup: int
    again: Callable[[int], float] = lambda _: 0.0
    _known: dict[tuple[Members, str], int] = field(default_factory=dict, repr=False)

    def __call__(self, conversations: Iterable[Conversation]) -> Takes:
        """What asking about these takes; their texts are not needed."""
        window, takes = Window(), Takes()
        for each in conversations:
            if window.add(each):
                takes = self._window(window.take(), takes)
        return self._window(window.take(), takes)

    def _window(self, conversations: Sequence[Conversation], takes: Takes) -> Takes:
        groups: dict[Members, list[Conversation]] = {}
        for each in conversations:
            groups.setdefault(each.lacks, []).append(each)
        for members, some in sorted(groups.items()):
            for more in self._group(members, some):
                takes += more
        return takes

    def _group(self, members: Members, conversations: list[Conversation]) -> Iterator[Takes]:
        size = self._size(members)
        if size is None:
            asked = min(self.pack.sample, len(conversations))
            if asked >= FEWEST:
                yield from (self._single(name, each) for name in members for each in conversations[:asked])
                yield from self._tried(members, conversations[:asked])
                conversations = conversations[asked:]
            yield Takes(exact=False)
        packs, singles = arrange(conversations, members, size or 1, self._room, self.pack.seed)
        yield from (self._single(self.target, each) for each in singles)
        packed = Takes()
        for pack in packs:
            packed += self._call(pack)
            if pack.framed:
                yield from self._beside(pack)
        if self.pack.grade == "again":
            framed = [pack for pack in packs if pack.framed]
            yield from (self._call(pack) for pack in elsewhere(framed, self._room, self.pack.seed))
        yield packed
        yield self._asked_again([each for pack in packs for each in pack.conversations], size or 1)

    def _size(self, members: Members) -> int | None:
        wanted = self.pack.conversations
        if isinstance(wanted, int):
            return wanted
        return self.learned(members) if members else 1

    def _room(self, members: Sequence[str], size: int) -> int:
        return room(self.pack, [self.prompts[name] for name in members], size)

    def _tried(self, members: Members, sample: Sequence[Conversation]) -> Iterator[Takes]:
        size = 2
        while size <= min(self.pack.largest, len(sample)):
            packs, _ = arrange(sample, members, size, self._room, self.pack.seed)
            yield from (self._call(pack) for pack in packs)
            size *= 2

    def _beside(self, pack: Pack) -> Iterator[Takes]:
        """The grader's call, and the single calls of the random share."""
        answers = self._answers(pack)
        if self.pack.grade is True:
            tokens = self._static(pack.members, "graded") + self.markup + pack.n_tokens + answers
            yield Takes(1, tokens, GRADE_TOKENS)
        if self.pack.conversations == "auto":
            for each in pack.conversations:
                if is_drawn(each.content_hash, self.pack.seed, self.pack.random_share):
                    yield from (self._single(name, each) for name in pack.members)

    def _asked_again(self, conversations: Sequence[Conversation], size: int) -> Takes:
        """The further calls to expect; most are about one conversation, so each is priced as one."""
        further = round(len(conversations) * self.again(size))
        if not further:
            return Takes()
        usual = sum(each.n_tokens for each in conversations) / len(conversations)
        tokens = self.prompts[self.target].static_tokens + self.markup + usual
        return Takes(further, further * tokens, further * self.answer_tokens[self.target])

    def _single(self, name: str, conversation: Conversation) -> Takes:
        tokens = self.prompts[name].static_tokens + self.markup + conversation.n_tokens
        return Takes(1, tokens, self.answer_tokens[name])

    def _call(self, pack: Pack) -> Takes:
        static = self._static(pack.members, "packed" if pack.framed else "combined")
        return Takes(1, static + self.markup + pack.n_tokens, self._answers(pack))

    def _answers(self, pack: Pack) -> float:
        each = sum(self.answer_tokens[name] for name in pack.members) + (ID_TOKENS if pack.framed else 0)
        return len(pack.conversations) * each

    def _static(self, members: Members, kind: str) -> int:
        if (members, kind) not in self._known:
            prompts = [self.prompts[name] for name in members]
            composed = {"combined": combined, "packed": _packed, "graded": _graded}[kind](prompts)
            self._known[members, kind] = composed.static_tokens
        return self._known[members, kind]


def _packed(prompts: Sequence[CompiledPrompt]) -> CompiledPrompt:
    return packed(prompts, 2)  # the static part is the same for every size


def _graded(prompts: Sequence[CompiledPrompt]) -> CompiledPrompt:
    return grading(prompts, 2)
