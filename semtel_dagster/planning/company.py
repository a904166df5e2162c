"""What a stale partition takes whose classifier is asked in company: with others, or in packs.

Belongs here: looking up who lacks an answer, and the price of the calls. Forming packs belongs in `packing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from semtel_dagster.packing.again import AgainRecord
from semtel_dagster.packing.asking import Company, company_of
from semtel_dagster.packing.counting import Counting, Takes
from semtel_dagster.packing.learning import size_learned
from semtel_dagster.packing.packs import Conversation
from semtel_dagster.planning.conversations import DistinctConversations
from semtel_dagster.planning.project import Project
from semtel_dagster.planning.rates import TOKENS_PER_ANSWER, TOKENS_PER_MESSAGE, answer_tokens

MESSAGES = 2

Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class InCompany:
    """What is to be asked.

    Attributes:
        lacking: By classifier of the group, the content hashes that will be asked about for it.
        takes: The calls.
    """

    lacking: Mapping[str, pl.Series]
    takes: Takes


def company_in(project: Project, classifier: str) -> Company | None:
    """Whom a classifier is asked with; None where it is asked alone, or only by the embedded model."""
    if all(endpoint.kind == "embedded" for endpoint in project.request_plan.endpoints):
        return None
    return company_of(project.settings, project.prompts, classifier)


def in_company(
    project: Project,
    company: Company,
    classifier: str,
    distinct: DistinctConversations,
    asked: Mapping[str, Sequence[pl.Series]],
) -> InCompany:
    """What the classifier's run over a week would ask, for itself and for those that are asked along.

    Args:
        project: The current state.
        company: Whom it is asked with.
        classifier: Its name.
        distinct: The week's conversations.
        asked: By classifier, what earlier partitions of the plan ask about.
    """
    table, plan = distinct.table, project.request_plan
    models = tuple(sorted(project.models))
    lacks: dict[str, Rows] = {}
    doubted: Rows = np.zeros(table.height, dtype=bool)
    for name in company.prompts:
        shelf = company.shelf(name, plan.journal, models)
        try:
            found = shelf.find(distinct.content_hashes)
        finally:
            shelf.close()
        there = found.there
        for earlier in asked.get(name, ()):
            there = there | table["content_hash"].is_in(earlier.implode()).to_numpy()
        lacks[name] = ~there
        if name == classifier:
            doubted = found.doubted
    rows = np.flatnonzero(lacks[classifier]).tolist()
    hashes, tokens = table["content_hash"].to_list(), table["n_tokens"].to_list()
    conversations = [
        Conversation(hashes[at], "", tokens[at] or 0, () if doubted[at] else _lacking(lacks, at)) for at in rows
    ]
    record = AgainRecord(plan.journal, company.prompts[classifier].fingerprint, models)
    counting = Counting(
        target=classifier,
        prompts=company.prompts,
        pack=company.pack,
        learned=lambda members: size_learned(company.pack, [company.prompts[m] for m in members], plan.journal, models),
        answer_tokens={name: answer_tokens(prompt) for name, prompt in company.prompts.items()},
        markup=TOKENS_PER_ANSWER + TOKENS_PER_MESSAGE * MESSAGES,
        again=lambda size: record.read(size).rate,
    )
    lacking = {
        name: [each.content_hash for each in conversations if name in each.lacks or name == classifier]
        for name in company.prompts
    }
    return InCompany(
        {name: pl.Series(some, dtype=pl.String) for name, some in lacking.items()}, counting(conversations)
    )


def _lacking(lacks: Mapping[str, Rows], at: int) -> tuple[str, ...]:
    return tuple(sorted(name for name, rows in lacks.items() if rows[at]))
