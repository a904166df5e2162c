"""Launching a titled backfill on a running Dagster webserver, by its GraphQL.

Belongs here: the one mutation and its reply. What goes into the backfill is found in `planning`; where no webserver
runs, `backfill` works in this process.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from semtel_dagster.errors import SemtelError, SettingsError
from semtel_dagster.partitions import grid_key
from semtel_dagster.planning.plan import PlannedPartition
from semtel_dagster.planning.staleness import PARSER

TIMEOUT_S = 60.0
PREPARING = (
    "conversations", "rejected_conversations", "sampled_conversations", "truncated_conversations",
    "conversation_embeddings", "distinct_conversations", "duplicate_groups",
)  # fmt: skip
PARSING, PUBLISHING = ("labels", "label_shares"), ("weekly_report",)
LAUNCH = """
mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
    ... on UnauthorizedError { message }
    ... on PartitionSetNotFoundError { message }
  }
}
"""


def backfill_params(
    partitions: Sequence[PlannedPartition], prepare: Iterable[str], title: str, tags: Mapping[str, str]
) -> dict[str, Any]:
    """The mutation's parameters: exactly these partitions of these assets.

    Args:
        partitions: What is to be labelled; one with the reason "parser changed" is only parsed.
        prepare: Weeks whose conversations are to be read first.
        title: What the UI shows.
        tags: The runs' tags.
    """
    asked = [str(grid_key(each.week, each.classifier)) for each in partitions if each.reason != PARSER]
    labelled = [str(grid_key(each.week, each.classifier)) for each in partitions]
    weeks = sorted({each.week for each in partitions})
    keys: dict[str, list[str]] = {asset: sorted(prepare) for asset in PREPARING}
    keys |= {"responses": asked, **dict.fromkeys(PARSING, labelled), **dict.fromkeys(PUBLISHING, weeks)}
    return {
        "partitionsByAssets": [
            {
                "assetKey": {"path": [asset]},
                "partitions": {"ranges": [{"start": str(key), "end": str(key)} for key in chosen]},
            }
            for asset, chosen in keys.items()
            if chosen
        ],
        "title": title,
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    }


def launch(webserver: str, params: Mapping[str, Any]) -> str:
    """Launches a backfill and returns its id.

    Args:
        webserver: Its address, e.g. http://127.0.0.1:3000.
        params: From `backfill_params`.

    Raises:
        SettingsError: No webserver answers there.
        SemtelError: It refuses.
    """
    body = json.dumps({"query": LAUNCH, "variables": {"params": params}}).encode()
    request = urllib.request.Request(
        f"{webserver.rstrip('/')}/graphql", body, {"content-type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:
            document = json.load(reply)
    except urllib.error.HTTPError as error:
        raise SemtelError(f"the webserver at {webserver} refuses the backfill (HTTP {error.code})") from None
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"no Dagster webserver answers at {webserver} ({type(error).__name__}); start dagster dev, or leave "
            "--webserver out"
        ) from None
    result = (document.get("data") or {}).get("launchPartitionBackfill") or {}
    if "backfillId" not in result:
        faults = [result.get("message"), *(error.get("message") for error in document.get("errors") or [])]
        told = next((fault for fault in faults if fault), result.get("__typename", "no reason given"))
        raise SemtelError(f"the webserver at {webserver} refuses the backfill: {told}")
    return str(result["backfillId"])
