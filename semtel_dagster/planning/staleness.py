"""Which partitions are not what the settings ask for now, and why: level-triggered, from recorded to current state.

Belongs here: reasons. What catching up costs belongs in `plan`. An edge that was missed is found all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from semtel_dagster.identity import preparation_fingerprint
from semtel_dagster.labels.parsed import PREDICTED_MARK
from semtel_dagster.planning.history import Event, History
from semtel_dagster.planning.project import Project

MISSING, NEW_DATA, UNANSWERED = "missing", "new data", "unanswered"
PROMPT, MODEL, PARSER = "prompt changed", "model changed", "parser changed"


@dataclass(frozen=True)
class Stale:
    """A classifier's week that is to be made again.

    Attributes:
        week: Its Monday.
        classifier: Its name.
        reason: The first that holds: missing, prompt changed, model changed, new data, parser changed, unanswered.
        prepare: Whether the week's conversations are to be read first.
        source_rows: Rows of the source in the week, as it is now.
    """

    week: str
    classifier: str
    reason: str
    prepare: bool
    source_rows: int = 0


def find_stale(
    project: Project,
    history: History,
    source_rows: Mapping[str, int],
    weeks: Sequence[str],
    classifiers: Sequence[str],
) -> list[Stale]:
    """Compares every partition asked for; the newest week first, then by classifier.

    Args:
        project: The current state.
        history: The recorded state.
        source_rows: Rows of the source per week, as it is now.
        weeks: Complete weeks to look at; one that the source never had and that was never made is left out.
        classifiers: Names.
    """
    known, preparation = history.weeks, preparation_fingerprint(project.settings)
    stale = []
    for week in sorted((week for week in weeks if week in known or week in source_rows), reverse=True):
        read = history.rows_read(week)
        late = read is not None and source_rows.get(week, 0) > read
        outdated = late or history.preparation(week) not in (None, preparation)
        prepare = outdated or not history.is_prepared(week)
        for classifier in classifiers:
            reason = _reason(project, history, week, classifier, outdated=outdated)
            if reason:
                stale.append(Stale(week, classifier, reason, prepare, source_rows.get(week, 0)))
    return stale


def _reason(project: Project, history: History, week: str, classifier: str, *, outdated: bool) -> str | None:
    responses = history.of("responses", week, classifier)
    labels = history.of("labels", week, classifier)
    if responses is None or labels is None or history.of("label_shares", week, classifier) is None:
        return MISSING
    fingerprint = project.prompts[classifier].fingerprint
    held = {
        PROMPT: responses.get("prompt_fingerprint") != fingerprint,
        MODEL: not _models_asked(responses) <= project.models,
        NEW_DATA: outdated or history.identity(week) != responses.get("data_fingerprint"),
        PARSER: _is_parsed_otherwise(responses, labels, project.parser_fingerprint(classifier)),
        UNANSWERED: _lacks_answers(responses),
    }
    return next((reason for reason, holds in held.items() if holds), None)


def _is_parsed_otherwise(responses: Event, labels: Event, current: str) -> bool:
    return labels.get("parser_fingerprint") != current or labels.get("prompt_fingerprint") != responses.get(
        "prompt_fingerprint"
    )


def _models_asked(responses: Event) -> set[str]:
    """The models that answered; a student of the cascade answers in its teacher's place, and is none."""
    return {model for model in responses.get("models") or () if not model.startswith(PREDICTED_MARK)}


def _lacks_answers(responses: Event) -> bool:
    """Failures that may pass; whether another run would ask at all is for the journal to say."""
    return int(responses.get("failed") or 0) > 0
