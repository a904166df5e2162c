"""The gate: which evaluation is the baseline, who accepted what and why, and whether a classifier may run.

One JSON file per acceptance under `<storage>/evaluations/accepted/<classifier>/`, never changed. Verdicts themselves
belong in `verdict`; the asset check that asks this gate, in `checks`.
"""

from __future__ import annotations

import datetime as dt
import getpass
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from semtel_dagster.errors import SettingsError
from semtel_dagster.evaluation.records import ACCEPTED, Evaluation, folder_of, load, write_whole
from semtel_dagster.evaluation.verdict import ALIGNED


@dataclass(frozen=True)
class Acceptance:
    """Who accepted which evaluation, when, and why."""

    classifier: str
    evaluation: str
    fingerprint: str
    model: str
    verdict: str
    because: str
    accepted_by: str
    accepted_at: dt.datetime


@dataclass(frozen=True)
class Decision:
    """Whether a classifier may run with its prompt and models as they are.

    Attributes:
        passed: False where a verdict stands against it that nobody accepted.
        verdict: The verdict of the evaluation that decided; empty where there was none.
        because: In words, with the mend.
        evaluation: Its id; empty where there was none.
    """

    passed: bool
    verdict: str
    because: str
    evaluation: str = ""


_ACCEPTANCE = TypeAdapter(Acceptance)


def decide(storage: str, classifier: str, fingerprint: str, models: Iterable[str]) -> Decision:
    """Whether the newest evaluation of this prompt on each of these models lets it run.

    Args:
        storage: Root of the dataset layout.
        classifier: Its name.
        fingerprint: The prompt's, as it is now.
        models: The models' names in the settings ("embedded" for the embedded one), as `model_of` gives them.
    """
    evaluations = load(storage, classifier)
    accepted = acceptances(storage, classifier)
    verdicts = []
    for model in dict.fromkeys(models):
        mine = [each for each in evaluations if (each.fingerprint, each.model) == (fingerprint, model)]
        if mine:
            verdicts.append(_decision(mine[-1], accepted))
    if not verdicts:
        return Decision(
            True, "", f"This prompt was not evaluated with these models; run: semtel evaluate --classifier {classifier}"
        )
    return next((verdict for verdict in verdicts if not verdict.passed), verdicts[-1])


def model_of(model: str | None) -> str:
    """The name under which an endpoint's model is evaluated; one without a name is the embedded model."""
    return model or "embedded"


def accept(
    storage: str, classifier: str, because: str, fingerprint: str, *, now: dt.datetime, who: str | None = None
) -> list[Acceptance]:
    """Accepts the newest evaluations of a prompt, one per model; the last of them becomes the baseline.

    Args:
        storage: Root of the dataset layout.
        classifier: Its name.
        because: The reason, in a person's words.
        fingerprint: The prompt's, as it is now.
        now: The time, with its zone.
        who: A name; unset: the name of the user of this process.

    Raises:
        SettingsError: There is no reason, or no evaluation of this prompt.
    """
    if not because.strip():
        raise SettingsError('give a reason: --because "..."')
    newest = {each.model: each for each in load(storage, classifier) if each.fingerprint == fingerprint}
    if not newest:
        raise SettingsError(
            f"there is no evaluation of {classifier} with its prompt as it is now ({fingerprint}); run first: "
            f"semtel evaluate --classifier {classifier}"
        )
    made = [
        Acceptance(
            classifier, each.id, fingerprint, model, each.verdict, because.strip(), who or getpass.getuser(), now
        )
        for model, each in newest.items()
    ]
    for place, each in enumerate(made):
        path = folder_of(storage) / ACCEPTED / classifier / f"{now:%Y%m%dT%H%M%S%f}-{place}.json"
        write_whole(path, _ACCEPTANCE.dump_json(each, indent=1))
    return made


def acceptances(storage: str, classifier: str) -> list[Acceptance]:
    """A classifier's acceptances, the oldest first."""
    found = []
    for path in sorted((folder_of(storage) / ACCEPTED / classifier).glob("*.json")):
        try:
            found.append(_ACCEPTANCE.validate_json(path.read_bytes()))
        except ValidationError:
            continue
    return found


def baseline(storage: str, classifier: str, named: str | None = None) -> Evaluation | None:
    """The evaluation that others are compared with: the named one, the last accepted one, else the oldest.

    Raises:
        SettingsError: The named one does not exist.
    """
    evaluations = {each.id: each for each in load(storage, classifier)}
    if named is not None:
        if named not in evaluations:
            raise SettingsError(f"there is no evaluation {named}; {classifier} has {', '.join(evaluations) or 'none'}")
        return evaluations[named]
    accepted = [each.evaluation for each in acceptances(storage, classifier) if each.evaluation in evaluations]
    first = next(iter(evaluations.values()), None)
    return evaluations[accepted[-1]] if accepted else first


def _decision(evaluation: Evaluation, accepted: Sequence[Acceptance]) -> Decision:
    reasons = " ".join(evaluation.reasons)
    if evaluation.verdict == ALIGNED:
        return Decision(True, ALIGNED, f"Evaluated on {evaluation.model}: aligned. {reasons}", evaluation.id)
    for each in reversed(accepted):
        same = (each.fingerprint, each.model, each.verdict) == (
            evaluation.fingerprint, evaluation.model, evaluation.verdict,
        )  # fmt: skip
        if same or each.evaluation == evaluation.id:
            return Decision(
                True,
                evaluation.verdict,
                f"Evaluated on {evaluation.model}: {evaluation.verdict}, accepted by {each.accepted_by} on "
                f"{each.accepted_at:%Y-%m-%d}: {each.because}",
                evaluation.id,
            )
    return Decision(
        False,
        evaluation.verdict,
        f"Evaluated on {evaluation.model}: {evaluation.verdict}. {reasons} Mend the prompt, or accept it: "
        f'semtel accept --classifier {evaluation.classifier} --because "..."',
        evaluation.id,
    )
