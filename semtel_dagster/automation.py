"""When assets are made without a click: the weekly cadence, as a condition on every asset.

The order of a week is the graph's: an asset waits until what it is made from was made since the last tick. What costs
money outside the cadence (catching up after a change) belongs in `sensors`.
"""

from __future__ import annotations

import dagster as dg

MONDAY_MORNING = "0 6 * * 1"
BEFORE_MONDAY_MORNING = "45 5 * * 1"
EVERY_MORNING = "0 7 * * *"
PROMPTS = "prompts"


def weekly() -> dg.AutomationCondition[dg.AssetKey]:
    """Mondays at 06:00 UTC, the week that just ended; prompts are made by people, so nothing waits for them."""
    condition = dg.AutomationCondition.on_cron(MONDAY_MORNING)
    return condition.ignore(dg.AssetSelection.assets(PROMPTS)).with_label("every Monday at 06:00 UTC, in order")


def observed() -> dg.AutomationCondition[dg.AssetKey]:
    """Looks at the prompts shortly before the week is made."""
    return dg.AutomationCondition.cron_tick_passed(BEFORE_MONDAY_MORNING)


def daily() -> dg.AutomationCondition[dg.AssetCheckKey]:
    """Every morning, for checks of what has grown old."""
    return dg.AutomationCondition.cron_tick_passed(EVERY_MORNING)


def cadence_sensor() -> dg.AutomationConditionSensorDefinition:
    """Evaluates the conditions; stopped until somebody starts it, since labelling may cost money."""
    return dg.AutomationConditionSensorDefinition(
        "weekly_cadence",
        target=dg.AssetSelection.all(include_sources=True) | dg.AssetSelection.all_asset_checks(),
        description="Makes every asset of the week that ended, Mondays at 06:00 UTC, in the order of the graph.",
    )
