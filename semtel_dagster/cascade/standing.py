"""Whether a student may answer a classifier's week: it is trained, promises something, and nothing speaks against it.

Belongs here: the decision, worked out anew from the tables each time, and joining the student to the classify stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import narwhals as nw
import polars as pl

from semtel_dagster.cascade.answering import VECTOR, VECTOR_MODEL, Answered, LeftToAsk, SureOrAsk
from semtel_dagster.cascade.chosen import ASKED_ANYWAY, chosen
from semtel_dagster.cascade.drift import Evidence, look, weigh
from semtel_dagster.cascade.examples import VECTORS_TABLE, Gold, read_examples, vectors_of, weeks_with_labels
from semtel_dagster.cascade.figures import watched
from semtel_dagster.cascade.store import load, newest, shares
from semtel_dagster.cascade.training import Examples, Trained, train
from semtel_dagster.classifiers import CompiledPrompt, Prompts
from semtel_dagster.datasets import partition_folder
from semtel_dagster.engines.base import ArrowFunction, Engine, Frame
from semtel_dagster.errors import SettingsError
from semtel_dagster.evaluation.golden import load_golden
from semtel_dagster.settings import Settings
from semtel_dagster.tables import DISTINCT_CONVERSATIONS

HASH = "content_hash"


@dataclass(frozen=True)
class Cascade:
    """A student that may answer a week, or the reason why none may.

    Attributes:
        because: In one line, for people.
        trained: The student; None: everything is asked.
        vectors: The folder of the week's embeddings.
    """

    because: str
    trained: Trained | None = None
    vectors: str = ""

    def as_metadata(self) -> dict[str, str]:
        """What the UI shows beside the answers; nothing where the cascade is off."""
        return {"cascade": self.because} if self.because else {}

    def answering(self, ask: ArrowFunction, answered: Answered) -> ArrowFunction:
        """The row function that answers first and asks what is left; `ask` itself where no student may answer."""
        return ask if self.trained is None else SureOrAsk(ask, self.trained, answered)

    def left(self, distinct: Frame, answered: Answered, engine: Engine) -> Frame:
        """The conversations that the student leaves to be asked."""
        if self.trained is None:
            return distinct
        function = LeftToAsk(SureOrAsk(iter, self.trained, answered))
        return engine.map_batches(self.with_vectors(distinct, engine), function, DISTINCT_CONVERSATIONS)

    def sure_of(self, content_hashes: pl.Series) -> pl.Series:
        """Those of a week's conversations that the student would answer, whatever has been paid for."""
        if self.trained is None:
            return pl.Series(HASH, [], dtype=pl.String)
        stored = pl.scan_parquet(sorted(Path(self.vectors).glob("*.parquet")), hive_partitioning=False, glob=False)
        known = stored.filter(pl.col("model") == self.trained.embedding, pl.col(HASH).is_in(content_hashes.implode()))
        rows = known.select(HASH, VECTOR).collect()
        rows = rows.filter(~pl.Series(chosen(rows[HASH], self.trained.random_share, ASKED_ANYWAY), dtype=pl.Boolean))
        if not rows.height:
            return rows[HASH]
        said = self.trained.student.predict(vectors_of(rows[VECTOR]))
        return rows[HASH].filter(pl.Series(self.trained.answers(said)))

    def with_vectors(self, distinct: Frame, engine: Engine) -> Frame:
        """The conversations with their stored vectors, as `SureOrAsk` wants them; as they are where nobody does."""
        if self.trained is None:
            return distinct
        vectors = engine.scan([self.vectors])
        stored = vectors.select(HASH, VECTOR, nw.col("model").alias(VECTOR_MODEL))
        return distinct.select(*DISTINCT_CONVERSATIONS.names).join(stored, on=HASH, how="left")


OFF = Cascade("")


@dataclass(frozen=True)
class Promise:
    """How a student's promise stands after all stored weeks.

    Attributes:
        holds: Nothing speaks against it, or there is none.
        because: In one line, for people.
        figures: Numbers that plot.
    """

    holds: bool
    because: str
    figures: dict[str, float]


def standing(settings: Settings, prompt: CompiledPrompt, week: str) -> Cascade:
    """Who may answer a week of a classifier; `OFF` where the settings leave it to models alone."""
    name = prompt.classifier.name
    if name not in settings.cascade.classifiers:
        return OFF
    version = newest(settings.storage, name, prompt.fingerprint)
    if version is None:
        return Cascade(
            "no student is trained for this prompt: materialize cascade_students once some weeks have labels"
        )
    vectors = partition_folder(settings.storage, VECTORS_TABLE, week)
    if not any(vectors.glob("*.parquet")):
        return Cascade("the week's embeddings are not stored here, so everything is asked")
    trained = load(settings.storage, name, version)
    if not trained.coverage:
        return Cascade(f"student {version} promises nothing at the wanted agreement, so everything is asked")
    evidence = evidence_of(settings, prompt, trained, before=week)
    if not evidence.holds:
        return Cascade(f"student {version} stands back until it is trained again: {in_words(evidence)}")
    return Cascade(f"student {version} answers where it is sure: {in_words(evidence)}", trained, str(vectors))


def promise(settings: Settings, prompt: CompiledPrompt) -> Promise:
    """Whether the newest student of a classifier keeps its promise, over all weeks that it was not trained on."""
    name = prompt.classifier.name
    version = newest(settings.storage, name, prompt.fingerprint) if name in settings.cascade.classifiers else None
    if version is None:
        return Promise(True, "No student answers for this prompt.", {})
    evidence = evidence_of(settings, prompt, load(settings.storage, name, version))
    told = in_words(evidence)
    if evidence.holds:
        return Promise(True, f"Student {version} keeps its promise: {told}.", watched(evidence))
    mend = "Everything is asked until cascade_students is materialized again."
    return Promise(False, f"Student {version} breaks its promise: {told}. {mend}", watched(evidence))


def train_student(settings: Settings, prompt: CompiledPrompt) -> Trained:
    """A student of a classifier from all stored weeks.

    Raises:
        SettingsError: The classifier has a score, gold is wanted and not set, or there are too few rows.
    """
    tasks = tasks_of(prompt)
    found = examples_of(settings, prompt, weeks_with_labels(settings.storage, prompt.classifier.name))
    if found is None:
        raise SettingsError(
            f"the cascade finds no labelled conversation of {prompt.classifier.name} with a stored embedding: label a "
            "week first, with dedupe.embedding other than none"
        )
    return train(found, tasks, prompt.fingerprint, settings.cascade)


def evidence_of(settings: Settings, prompt: CompiledPrompt, trained: Trained, before: str | None = None) -> Evidence:
    """What the weeks that a student was not trained on say, those from `before` on left out."""
    weeks = [
        week
        for week in weeks_with_labels(settings.storage, prompt.classifier.name)
        if week not in trained.weeks and (before is None or week < before)
    ]
    looked = [look(trained, examples_of(settings, prompt, [week])) for week in weeks]
    return weigh(looked, trained.agreement, trained.confidence)


def examples_of(settings: Settings, prompt: CompiledPrompt, weeks: Sequence[str]) -> Examples | None:
    """What the teacher of the settings said in some weeks."""
    name, storage = prompt.classifier.name, settings.storage
    given = shares(storage, name)
    return read_examples(storage, name, tasks_of(prompt), prompt.fingerprint, given, weeks, _gold(settings, prompt))


def tasks_of(prompt: CompiledPrompt) -> tuple[str, ...]:
    """The tasks that a student answers.

    Raises:
        SettingsError: One has a score, which a student does not give.
    """
    scored = [task.name for task in prompt.classifier.tasks if task.score]
    if scored:
        raise SettingsError(
            f"cascade.classifiers names {prompt.classifier.name}, whose task {scored[0]} has a score; a student gives "
            "labels only"
        )
    return tuple(task.name for task in prompt.classifier.tasks)


def check_names(settings: Settings, prompts: Prompts) -> None:
    """Says what is wrong with `cascade.classifiers`, before anything runs.

    Raises:
        SettingsError: A name is no classifier, or one whose answers a student cannot give.
    """
    unknown = sorted(set(settings.cascade.classifiers) - set(prompts))
    if unknown:
        raise SettingsError(
            f"cascade.classifiers names {', '.join(unknown)}, which is no classifier of this project; there are "
            f"{', '.join(prompts)}"
        )
    for name in settings.cascade.classifiers:
        tasks_of(prompts[name])


def in_words(evidence: Evidence) -> str:
    """What was seen since the training, in one line."""
    if evidence.agreement is None:
        return "nothing was compared since its training"
    same = evidence.rows - evidence.disagreeing
    return f"of {evidence.rows:,} conversations that were asked anyway the teacher agrees on {same:,}"


def _gold(settings: Settings, prompt: CompiledPrompt) -> Gold | None:
    if settings.cascade.teacher == "llm":
        return None
    if not settings.gold:
        raise SettingsError("cascade.teacher is gold, and the setting gold names no file of people's labels")
    golden = load_golden([settings.gold])
    return {task.name: golden.gold(task) for task in prompt.classifier.tasks}
