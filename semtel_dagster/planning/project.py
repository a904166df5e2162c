"""What the settings ask for now: prompts, weeks, endpoints and the models behind them.

Belongs here: the current side of every comparison. The recorded side belongs in `history`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from semtel_dagster.classifiers import Prompts
from semtel_dagster.embedding import zero_shot
from semtel_dagster.evaluation import gate
from semtel_dagster.partitions import make_partitions
from semtel_dagster.prompts.loader import load_classifiers
from semtel_dagster.repair import parser_for
from semtel_dagster.requests.plan import RequestPlan, plan_for
from semtel_dagster.settings import Settings


@dataclass(frozen=True)
class Project:
    """A settings file's project as it is now.

    Attributes:
        settings: What the user set.
        prompts: The compiled prompts, by classifier.
        weeks: All complete weeks, oldest first.
        request_plan: Which endpoints are asked.
    """

    settings: Settings
    prompts: Prompts
    weeks: tuple[str, ...]
    request_plan: RequestPlan

    @classmethod
    def of(cls, settings: Settings, prompts: Prompts | None = None) -> Project:
        """Reads the prompts, unless they are given, and the clock.

        Raises:
            SettingsError: A prompt file or a setting is wrong.
        """
        prompts = prompts or load_classifiers(settings.prompts, settings.classifiers)
        weeks = make_partitions(settings.first_week, list(prompts)).weeks()
        return cls(settings, prompts, tuple(weeks), plan_for(settings, zero_shot.load))

    @cached_property
    def models(self) -> frozenset[str]:
        """The models that may answer, by the names under which answers are recorded."""
        names = []
        for endpoint in self.request_plan.endpoints:
            if endpoint.kind == "embedded":
                assert self.request_plan.local_model
                names.append(self.request_plan.local_model().name)
            else:
                names.append(endpoint.model or "")
        return frozenset(names)

    def parser_fingerprint(self, classifier: str) -> str:
        """The parser's fingerprint for a classifier."""
        return parser_for(self.prompts[classifier].classifier, self.settings.requests).fingerprint

    def decision(self, classifier: str) -> gate.Decision:
        """Whether the gate lets a classifier run with its prompt and models as they are."""
        models = [gate.model_of(endpoint.model) for endpoint in self.request_plan.endpoints]
        return gate.decide(self.settings.storage, classifier, self.prompts[classifier].fingerprint, models)

    def classifiers(self, asked: Sequence[str] | None = None) -> list[str]:
        """The classifiers asked for, by name; all when none is."""
        return [name for name in self.prompts if not asked or name in asked]
