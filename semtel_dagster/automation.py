"""When assets are made without a click: the weekly cadence, as a condition on every asset.

The order of a week is the graph's: an asset waits until what it is made from was made since the last tick. What costs
money outside the cadence (catching up after a change) belongs in `sensors`.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster._utils.schedules import is_valid_cron_string

from semtel_dagster.errors import SettingsError
from semtel_dagster.settings import MONDAY_MORNING

BEFORE_MONDAY_MORNING = "45 5 * * 1"
EVERY_MORNING = "0 7 * * *"
PROMPTS = "prompts"


def weekly(cadence: str = MONDAY_MORNING) -> dg.AutomationCondition[dg.AssetKey]:
    """By default Mondays at 06:00 UTC: the week that just ended.

    Prompts are made by people, so nothing waits for them.
    """
    when = "every Monday at 06:00 UTC" if cadence == MONDAY_MORNING else f"by the cron {cadence} (UTC)"
    condition = dg.AutomationCondition.on_cron(cadence)
    return condition.ignore(dg.AssetSelection.assets(PROMPTS)).with_label(f"{when}, in order")


def at(cadence: str, assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """The assets with another cadence, where they have one.

    Raises:
        SettingsError: It is no cron.
    """
    if cadence == MONDAY_MORNING:
        return list(assets)
    if not is_valid_cron_string(cadence):
        raise SettingsError(f"cadence: {cadence!r} is no cron; Mondays at 06:00 UTC are {MONDAY_MORNING!r}")

    def moved(spec: dg.AssetSpec) -> dg.AssetSpec:
        return spec.replace_attributes(automation_condition=weekly(cadence)) if spec.automation_condition else spec

    return [each.map_asset_specs(moved) for each in assets]


def observed() -> dg.AutomationCondition[dg.AssetKey]:
    """Looks at the prompts shortly before the week is made."""
    return dg.AutomationCondition.cron_tick_passed(BEFORE_MONDAY_MORNING)


def daily() -> dg.AutomationCondition[dg.AssetCheckKey]:
    """Every morning, for checks of what has grown old."""
    return dg.AutomationCondition.cron_tick_passed(EVERY_MORNING)


def cadence_sensor() -> dg.AutomationConditionSensorDefinition:
    """Evaluates the weekly conditions; stopped until somebody starts it, since labelling may cost money."""
    return dg.AutomationConditionSensorDefinition(
        "weekly_cadence",
        target=(dg.AssetSelection.all(include_sources=True) | dg.AssetSelection.all_asset_checks()) - _looks(),
        description="Makes every asset of the week that ended, in the order of the graph: Mondays at 06:00 UTC, or by "
        "the setting cadence.",
    )


def looking_sensor() -> dg.AutomationConditionSensorDefinition:
    """Evaluates the daily conditions; it asks no model, so it runs from the start."""
    return dg.AutomationConditionSensorDefinition(
        "daily_look",
        target=_looks(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks every morning, at 07:00 UTC, whether answers have grown old or conversations came late, and "
        "has the check answers_are_current say so. Asks no model.",
    )


def _looks() -> dg.AssetSelection:
    return dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("responses"), "answers_are_current"))
