"""Telling Dagster's instance which prompts there are now, so that the UI marks what a change made stale.

The observable asset does the same from the UI; here it is done without a run, before one labels anything.
"""

from __future__ import annotations

import dagster as dg

from semtel_dagster.classifiers import Prompts

ASSET = "prompts"
VERSION_TAG = "dagster/data_version"


def observe_prompts(prompts: Prompts, instance: dg.DagsterInstance) -> list[str]:
    """Records the fingerprints that are not the last recorded ones.

    Returns:
        The classifiers whose fingerprint is new.
    """
    changed = [name for name, prompt in prompts.items() if last_observed(instance, name) != prompt.fingerprint]
    for name in changed:
        instance.report_runless_asset_event(observation(name, prompts[name].fingerprint))
    return changed


def last_observed(instance: dg.DagsterInstance, classifier: str) -> str | None:
    """The fingerprint of a classifier that was recorded last."""
    newest = instance.fetch_observations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey(ASSET), asset_partitions=[classifier]), limit=1
    ).records
    event = newest[0].asset_observation if newest else None
    return event.tags.get(VERSION_TAG) if event else None


def observation(classifier: str, fingerprint: str) -> dg.AssetObservation:
    """The event that says which fingerprint a classifier has."""
    return dg.AssetObservation(
        ASSET, partition=classifier, tags={VERSION_TAG: fingerprint}, metadata={"prompt_fingerprint": fingerprint}
    )
