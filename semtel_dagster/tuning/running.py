"""The order of a tuning: single calls, then every sequence of ways until it fails.

What is asked belongs in `asking`, what is taken in `choosing`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.errors import SettingsError
from semtel_dagster.prompts.together import check_group
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import Price
from semtel_dagster.tuning.asking import Watch, ask
from semtel_dagster.tuning.choosing import Choice, choose, error_of, needed, passes
from semtel_dagster.tuning.measuring import Measured, measure
from semtel_dagster.tuning.said import Said
from semtel_dagster.tuning.sample import Sample
from semtel_dagster.tuning.students import NOBODY, Students
from semtel_dagster.tuning.ways import SINGLE, Chain, Way, chains, groups_of, texts_of


@dataclass(frozen=True)
class Tuning:
    """What is wanted.

    Attributes:
        sample: The conversations.
        prompts: The classifiers' prompts.
        plan: The endpoints.
        agreement: The wanted agreement with single calls.
        confidence: With which it is wanted.
        batch_factor: The Batch API's part of the price; None: not considered.
        repeats: 2: each way is asked twice, so that it shows how many labels change; 1: it is not known.
        students: Who may answer in the place of the model.
    """

    sample: Sample
    prompts: Mapping[str, CompiledPrompt]
    plan: RequestPlan
    agreement: float = 0.99
    confidence: float = 0.95
    batch_factor: float | None = None
    repeats: int = 2
    students: Students = NOBODY

    def sequences(self) -> tuple[Chain, ...]:
        """The ways to try on this sample."""
        texts = texts_of(self.sample.budgets, compress=self.sample.compresses, keeps=self.sample.keeps)
        combine = not self.hindrance() and len(self.prompts) > 1
        return chains(texts, combine=combine, cascade=bool(self.students.known))

    def hindrance(self) -> str:
        """Why the classifiers cannot be combined; empty where they can."""
        try:
            for group in groups_of(list(self.prompts)):
                check_group([self.prompts[name] for name in group])
        except SettingsError as error:
            return str(error)
        return ""


@dataclass(frozen=True)
class Found:
    """What a tuning found.

    Attributes:
        measured: Every way that was asked, in order.
        choice: What to take.
        made: Calls that were made now.
        notes: What a reader must know besides.
    """

    measured: tuple[Measured, ...]
    choice: Choice
    made: int
    notes: tuple[str, ...] = ()


def remote(plan: RequestPlan) -> RequestPlan:
    """The plan without the embedded model, which reads no prompts and costs nothing.

    Raises:
        SettingsError: Nothing is left.
    """
    endpoints = tuple(each for each in plan.endpoints if each.kind != "embedded")
    if not endpoints:
        raise SettingsError(
            "there is nothing to tune: the embedded model answers, which reads no prompts and costs nothing; name an "
            "endpoint of kind openai or azure under endpoints"
        )
    return replace(plan, endpoints=endpoints)


def run(tuning: Tuning, watch: Watch | None = None) -> Iterator[tuple[str, Found | None]]:
    """Asks in one way after the other; yields the title of each before it begins, and at the end what was found.

    Raises:
        SettingsError: No endpoint can be called as it is configured.
        EndpointError: Too many conversations got no answer.
    """
    sequences = tuning.sequences()
    error = error_of(sequences, tuning.confidence)
    runner = _Runner(tuning, remote(tuning.plan), watch)
    yield SINGLE.name, None
    measured = {SINGLE: runner.measure(SINGLE)}
    for sequence in sequences:
        for way in sequence:
            if way not in measured:
                yield way.name, None
                measured[way] = runner.measure(way)
            if not passes(measured[way], tuning.agreement, error):
                break
    choice = choose(measured, sequences, tuning.agreement, tuning.confidence, tuning.batch_factor)
    found = Found(tuple(measured.values()), choice, runner.made, tuple(_notes(tuning, measured[SINGLE], error)))
    yield "", found


class _Runner:
    """Asks and measures; single calls first."""

    def __init__(self, tuning: Tuning, plan: RequestPlan, watch: Watch | None) -> None:
        self._tuning, self._plan, self._watch = tuning, plan, watch
        self._single: Said | None = None
        self.made = 0

    def measure(self, way: Way) -> Measured:
        first, *others = (self._ask(way, repeat) for repeat in range(self._tuning.repeats))
        self._single = self._single or first
        price: Price = self._plan.endpoints[0].price
        return measure(way, first, self._single, price, others[0] if others else None)

    def _ask(self, way: Way, repeat: int) -> Said:
        tuning = self._tuning
        known = tuning.students.known
        said = ask(way, tuning.sample, tuning.prompts, self._plan, repeat=repeat, watch=self._watch, known=known)
        self.made += said.made
        return said


def _notes(tuning: Tuning, single: Measured, error: float) -> Iterator[str]:
    fewest, n = needed(tuning.agreement, error), single.worst.n
    if n < fewest:
        yield (
            f"{n} conversations cannot show an agreement of {tuning.agreement:.1%}: that takes at least {fewest}; give "
            "a larger --sample or a lower --agreement."
        )
    if single.flips is not None and (single.flips.value or 0.0) > 1 - tuning.agreement:
        yield (
            f"Single calls asked twice differ on {single.flips.value:.1%} of labels, so hardly any way can agree with "
            f"them on {tuning.agreement:.1%}."
        )
    hindrance = tuning.hindrance()
    if hindrance and len(tuning.prompts) > 1:
        yield f"The classifiers were not combined: {hindrance}."
    yield from tuning.students.notes
    if len({each.model for each in tuning.plan.endpoints}) > 1:
        yield "The endpoints have several models, and the first one's price counts."
