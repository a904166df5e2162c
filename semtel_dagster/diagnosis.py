"""What `semtel check` looks at: storage, source, prompts and endpoints, before a run and before a cent is spent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from semtel_dagster.classifiers import CompiledPrompt
from semtel_dagster.embedding import zero_shot
from semtel_dagster.errors import SemtelError
from semtel_dagster.object_store import ObjectStore
from semtel_dagster.prompts import caching
from semtel_dagster.prompts.lint import lint
from semtel_dagster.prompts.loader import load_classifiers
from semtel_dagster.requests.check import check_endpoint
from semtel_dagster.requests.plan import plan_for
from semtel_dagster.settings import Settings
from semtel_dagster.sources.weeks import source_weeks
from semtel_dagster.surprisal.gguf import GgufScorer


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    about: str
    ok: bool
    says: str


def diagnose(settings: Settings) -> list[Finding]:
    """Looks at everything a run needs; a fault of one part does not hide another's."""
    parts: tuple[tuple[str, Callable[[Settings], Iterator[Finding]]], ...] = (
        ("storage", _storage),
        ("source", _source),
        ("prompts", _prompts),
        ("endpoints", _endpoints),
        ("compression", _compression),
    )
    findings: list[Finding] = []
    for about, look in parts:
        try:
            findings.extend(look(settings))
        except SemtelError as error:
            findings.append(Finding(about, False, str(error)))
    return findings


def _storage(settings: Settings) -> Iterator[Finding]:
    folder = Path(settings.storage)
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    writable = nearest.is_dir() and os.access(nearest, os.W_OK)
    yield Finding(
        "storage",
        writable,
        str(folder) if writable else f"{folder} cannot be written: {nearest} is not a writable folder",
    )
    if store := ObjectStore.of(settings):
        yield _published(store)


def _published(store: ObjectStore) -> Finding:
    try:
        store.check()
    except SemtelError:
        raise
    except Exception as error:  # noqa: BLE001 - every protocol's package has errors of its own
        why = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return Finding(
            "object store", False, f"{store.url} cannot be written and read: {why}; check bucket and credentials"
        )
    return Finding("object store", True, f"{store.url}, published from the storage above")


def _source(settings: Settings) -> Iterator[Finding]:
    weeks = source_weeks(settings.source)
    inside = {week: rows for week, rows in weeks.items() if week >= settings.first_week}
    if not inside:
        span = f"its weeks are {min(weeks)} to {max(weeks)}" if weeks else "no row has a usable time"
        yield Finding("source", False, f"no conversation since first_week {settings.first_week}; {span}")
        return
    yield Finding(
        "source",
        True,
        f"{sum(inside.values()):,} conversations in {len(inside)} weeks, {min(inside)} to {max(inside)}, in "
        f"{settings.source.path}",
    )


def _prompts(settings: Settings) -> Iterator[Finding]:
    for name, prompt in load_classifiers(settings.prompts, settings.classifiers).items():
        faults = lint(prompt)
        tasks = ", ".join(f"{task.name} ({len(task.labels)} labels)" for task in prompt.classifier.tasks)
        says = "; ".join(faults) or f"{tasks}; {_size(prompt, settings)}"
        yield Finding(f"prompt {name}", not faults, says)


def _size(prompt: CompiledPrompt, settings: Settings) -> str:
    """A prompt's tokens, and what a provider's cache makes of them where one is asked."""
    size = f"{prompt.static_tokens:,} tokens besides the transcript"
    asked = [endpoint for endpoint in settings.endpoints if endpoint.kind != "embedded"]
    in_company = any(prompt.classifier.name in group for group in settings.combine)
    if not asked or in_company:
        return size
    prices = [each.price for each in asked if each.price.input and each.price.cached_input is not None]
    ratios = [(price.cached_input or 0.0) / price.input for price in prices]
    cache = caching.describe(prompt, max(ratios, default=caching.USUAL_PRICE_RATIO))
    return f"{size}, {cache}" if cache else size


def _compression(settings: Settings) -> Iterator[Finding]:
    if (perplexity := settings.compress.perplexity) is None:
        return
    model = GgufScorer(perplexity.model, perplexity.context).load()
    says = f"{perplexity.model}, {model.context:,} tokens at once; about {perplexity.keep:.0%} of the tokens stay"
    yield Finding("compression", True, says)


def _endpoints(settings: Settings) -> Iterator[Finding]:
    plan = plan_for(settings, zero_shot.load)
    for endpoint in plan.endpoints:
        for finding in check_endpoint(endpoint, plan):
            yield Finding(f"endpoint {endpoint.name}", finding.level != "error", finding.text)
