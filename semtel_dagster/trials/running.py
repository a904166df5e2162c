"""The order of an evaluation: every prompt on every model, one candidate after the other, each kept when it is done.

What a candidate's answers mean is decided in `measuring`, how it is shown in `page` and `console`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.errors import EndpointError, SettingsError
from semtel_dagster.evaluation.gate import baseline as find_baseline
from semtel_dagster.evaluation.gate import model_of
from semtel_dagster.evaluation.golden import GoldenSet
from semtel_dagster.evaluation.injections import Attack, Robustness, aim, robustness
from semtel_dagster.evaluation.records import Evaluation, save
from semtel_dagster.labels.parsed import UNANSWERED
from semtel_dagster.requests.plan import RequestPlan
from semtel_dagster.settings import Settings
from semtel_dagster.trials.asking import Answers, Watch, ask
from semtel_dagster.trials.cases import from_turns, golden_cases, join, sample_cases
from semtel_dagster.trials.measuring import Candidate, evaluate

MOST_UNANSWERED = 0.1


@dataclass(frozen=True)
class Trial:
    """What to evaluate, and against what.

    Attributes:
        settings: Storage, source, token budget.
        prompts: The classifiers' prompts under test.
        golden: Human labels.
        sample: Conversations without labels, at most.
        weeks: Where the sample comes from; unset: all prepared weeks.
        repeats: How often each conversation is asked.
        baseline: The id of the evaluation to compare with; unset: the accepted one, else the oldest.
        attacks: Injections to try; none: that is not measured.
        seed: Of bootstraps and permutations.
    """

    settings: Settings
    prompts: Mapping[str, CompiledPrompt]
    golden: GoldenSet = field(default_factory=GoldenSet)
    sample: int = 200
    weeks: Sequence[str] = ()
    repeats: int = 1
    baseline: str | None = None
    attacks: Sequence[Attack] = ()
    seed: int = 0


def plans_by_model(plan: RequestPlan, names: Sequence[str] = ()) -> dict[str, RequestPlan]:
    """One plan per model, over all its endpoints.

    Args:
        plan: The plan of the settings.
        names: Endpoints to use; unset: all.

    Raises:
        SettingsError: A name is unknown.
    """
    known = [endpoint.name for endpoint in plan.endpoints]
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise SettingsError(f"unknown endpoint {', '.join(unknown)}; there are: {', '.join(known)}")
    groups: dict[str, list[int]] = {}
    for place, endpoint in enumerate(plan.endpoints):
        if not names or endpoint.name in names:
            groups.setdefault(model_of(endpoint.model), []).append(place)
    return {
        model: replace(plan, endpoints=tuple(plan.endpoints[place] for place in places))
        for model, places in groups.items()
    }


def run(
    trial: Trial, models: Mapping[str, RequestPlan], watch: Watch | None = None
) -> Iterator[tuple[str, Evaluation | None]]:
    """Evaluates every prompt on every model; yields a title before (with None) and the kept evaluation after.

    Args:
        trial: What to evaluate.
        models: A plan over the endpoints of each model, as `plans_by_model` gives them.
        watch: Gets live figures.

    Raises:
        SettingsError: There is nothing to ask about, or no endpoint can be called as it is configured.
        EndpointError: Too many conversations got no answer; nothing is judged by what an endpoint lacked.
    """
    asked = False
    for name, prompt in trial.prompts.items():
        for model, plan in models.items():
            title = f"{name} on {model}"
            yield title, None
            found = _one(trial, prompt, model, plan, watch)
            if found is not None:
                asked = True
                save(trial.settings.storage, found)
                yield title, found
    if not asked:
        raise SettingsError(
            f"nothing to ask about: no golden label for {', '.join(trial.prompts)}, and no prepared week in "
            f"{trial.settings.storage}; give --gold, or start with: semtel run"
        )


def _one(trial: Trial, prompt: CompiledPrompt, model: str, plan: RequestPlan, watch: Watch | None) -> Evaluation | None:
    storage = trial.settings.storage
    against = find_baseline(storage, prompt.classifier.name, trial.baseline)
    cases = golden_cases(trial.golden, [task.name for task in prompt.classifier.tasks], trial.settings)
    known = {key for labels in against.sample_labels.values() for key in labels} if against else set()
    sample = sample_cases(trial.settings, trial.sample, trial.weeks, known)
    texts = join(cases, sample)
    if not texts.num_rows:
        return None
    answers = ask(prompt, plan, texts, storage, repeats=trial.repeats, watch=watch)
    _require_answers(f"{prompt.classifier.name} on {model}", answers)
    candidate = Candidate(prompt, model, tuple(endpoint.name for endpoint in plan.endpoints))
    now = dt.datetime.now(dt.UTC)
    found = evaluate(candidate, answers, trial.golden, cases, sample, against, now=now, seed=trial.seed)
    if trial.attacks:
        found = replace(found, injections=attack(prompt, plan, trial.attacks, trial.settings, watch))
    return found


def _require_answers(title: str, answers: Sequence[Answers]) -> None:
    for each in answers:
        counts = next(iter(each.statuses.values()))
        asked, unanswered = sum(counts.values()), counts.get(UNANSWERED, 0)
        if unanswered > MOST_UNANSWERED * asked:
            raise EndpointError(
                f"{title}: {unanswered} of {asked} conversations got no answer, so nothing was judged; see: semtel "
                "check. The answers that came are kept for the next try"
            )


def attack(
    prompt: CompiledPrompt,
    plan: RequestPlan,
    attacks: Sequence[Attack],
    settings: Settings,
    watch: Watch | None = None,
) -> tuple[Robustness, ...]:
    """Asks about clean twins, aims each attack at a label its twin did not get, and asks about those."""
    tasks = [task.name for task in prompt.classifier.tasks]
    twins = from_turns({each.id: each.clean for each in attacks}, settings)
    (clean,) = ask(prompt, plan, twins.texts, settings.storage, watch=watch)
    said = {each.id: {task: clean.labels[task].get(twins.hashes[each.id]) for task in tasks} for each in attacks}
    aimed = {each.id: aim(each, prompt.classifier, said[each.id]) for each in attacks}
    armed = from_turns({key: turns for key, (_, turns) in aimed.items()}, settings)
    (attacked,) = ask(prompt, plan, armed.texts, settings.storage, watch=watch)
    return tuple(
        robustness(
            task,
            [aimed[each.id][0] for each in attacks],
            [said[each.id][task] for each in attacks],
            [attacked.labels[task].get(armed.hashes[each.id]) for each in attacks],
        )
        for task in tasks
    )
