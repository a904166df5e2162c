"""The row function of the classify stage in company: conversations in, one classifier's responses out.

Belongs here: what the settings ask for, as a value that travels to a Spark task. What happens there belongs in
`session`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from semtel_dagster.classifiers import CompiledPrompt, Prompts
from semtel_dagster.errors import SettingsError
from semtel_dagster.packing.rounds import Rounds
from semtel_dagster.packing.session import Session
from semtel_dagster.packing.shelf import Shelf
from semtel_dagster.packing.tally import Tally
from semtel_dagster.prompts.together import check_group
from semtel_dagster.reducers import PackSettings
from semtel_dagster.repair import AskAndRepair
from semtel_dagster.requests.classify import ClassifyBatches
from semtel_dagster.requests.figures import Figures
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import Settings


@dataclass(frozen=True)
class Company:
    """Whom a classifier is asked with, and how.

    Attributes:
        prompts: The prompts of the classifier and of those it is combined with, by name.
        pack: Several conversations in a prompt.
    """

    prompts: Mapping[str, CompiledPrompt]
    pack: PackSettings

    def as_metadata(self) -> dict[str, str]:
        """What the UI shows beside the answers."""
        return {"asked_together": ", ".join(self.prompts), "conversations_per_prompt": str(self.pack.conversations)}

    def shelf(self, name: str, journal: str, models: tuple[str, ...]) -> Shelf:
        """The answers that count for a classifier of the group."""
        others = [other for other in self.prompts if other != name]
        own, pack = self.prompts[name].fingerprint, self.pack
        return Shelf(journal, name, own, others, models, packing=pack.is_on, grading=pack.grade)


@dataclass(frozen=True)
class AskInCompany:
    """Asks about every conversation for one classifier, together with its group and in packs; picklable.

    Packs are formed inside a task, so on Spark they follow from how rows are spread over tasks, and two engines do not
    form the same ones. The answers of single calls stay the same on both.

    Attributes:
        target: The classifier whose responses these are.
        company: Whom it is asked with.
        plan: Endpoints and how to treat them.
        on_progress: Called about once a second with the figures, rows being conversations.
        total: Rows in all, if the caller knows.
    """

    target: str
    company: Company
    plan: RequestPlan
    on_progress: Callable[[Figures], None] | None = None
    total: int | None = None

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Batches of RESPONSES, one row per input row, already durable in the journal.

        Args:
            batches: Columns content_hash, text (large_string) and n_tokens (int32); others are ignored.

        Raises:
            SettingsError: No endpoint can be called as it is configured.
            OSError: The journal cannot be written.
            Interrupted: The process was told to stop.
        """
        prompts = self.company.prompts
        models = models_of(self.plan, prompts[self.target])
        shelves = {name: self.company.shelf(name, self.plan.journal, models) for name in prompts}
        tally = Tally(self.on_progress, self.total)
        rounds = Rounds(self.target, prompts, self.plan, self.company.pack, tally)
        try:
            yield from Session(rounds, shelves, models).run(batches)
        finally:
            for shelf in shelves.values():
                shelf.close()


def company_of(settings: Settings, prompts: Prompts, name: str) -> Company | None:
    """Whom the settings let a classifier be asked with; None where it is asked alone, one conversation at a time.

    Raises:
        SettingsError: The group names a classifier that there is none of, or its prompts do not go together.
    """
    group = next((group for group in settings.combine if name in group), (name,))
    unknown = sorted(set(group) - set(prompts))
    if unknown:
        raise SettingsError(
            f"combine names {', '.join(unknown)}, which is no classifier of this project; there are "
            f"{', '.join(prompts)}"
        )
    if len(group) == 1 and not settings.pack.is_on:
        return None
    company = Company({member: prompts[member] for member in sorted(group)}, settings.pack)
    check_group(list(company.prompts.values()))
    return company


def asking(classify: ClassifyBatches, company: Company | None) -> AskInCompany | AskAndRepair:
    """The row function for a classifier, in company where there is any and a model at an endpoint that reads prompts.

    The embedded model reads no prompts and costs nothing: it is always asked singly, and where other endpoints are
    named beside it, it is left out in company.
    """
    remote = tuple(each for each in classify.plan.endpoints if each.kind != "embedded")
    if company is None or not remote:
        return AskAndRepair(classify)
    plan = replace(classify.plan, endpoints=remote)
    return AskInCompany(classify.prompt.classifier.name, company, plan, classify.on_progress, classify.total)


def models_of(plan: RequestPlan, prompt: CompiledPrompt) -> tuple[str, ...]:
    """The models that answer, by the names under which answers are recorded."""
    return tuple(sorted({endpoint.model or prompt.model or "" for endpoint in plan.endpoints}))
