"""The weekly report and the warehouse in an object store: what they need is fetched, what they made is put there."""

from __future__ import annotations

from pathlib import Path

from semtel_dagster.datasets import WAREHOUSE
from semtel_dagster.object_store import ObjectStore
from semtel_dagster.reporting.warehouse import portable_warehouse
from semtel_dagster.settings import Settings

OF_ALL_WEEKS = ("label_shares",)
OF_THE_WEEK = (
    "conversations",
    "rejected_conversations",
    "sampled_conversations",
    "truncated_conversations",
    "distinct_conversations",
    "duplicate_groups",
    "responses",
    "labels",
)


def fetch_reported(settings: Settings, week: str) -> None:
    """Brings here the tables that a week's report reads, where another machine made them."""
    if store := ObjectStore.of(settings):
        store.fetch_all(OF_ALL_WEEKS, Path(settings.storage))
        store.fetch_all(OF_THE_WEEK, Path(settings.storage), [week])


def publish_report(settings: Settings, page: Path) -> dict[str, str]:
    """Puts a week's page and the small tables' DuckDB file into the store; where they are, for the metadata.

    The local warehouse has views over local files, which would lead nowhere from elsewhere. Nothing is put, and nothing
    told, where the storage is only local.
    """
    store = ObjectStore.of(settings)
    if store is None:
        return {}
    place = page.relative_to(Path(settings.storage).absolute()).as_posix()
    return {
        "published_report": store.put_file(page, place),
        "published_warehouse": store.put_file(portable_warehouse(settings.storage), WAREHOUSE),
    }
