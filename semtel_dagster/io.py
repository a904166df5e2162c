"""The I/O managers: frames to and from the dataset layout, for Polars and for Spark.

How a partition's folder is laid out and replaced is in `datasets.py`; what a written table means in numbers, in
`summaries.py`; how one is published to an object store, in `object_store.py`. No sample rows are ever logged: they
would put conversation text into the event log.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import narwhals as nw
import polars as pl
import pyarrow.parquet as pq
from dagster_polars import BasePolarsUPathIOManager
from pydantic import PrivateAttr
from upath import UPath

from semtel_dagster.datasets import replaced_folder
from semtel_dagster.engines.base import Engine
from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.object_store import ObjectStore
from semtel_dagster.partitions import CLASSIFIER, WEEK
from semtel_dagster.settings import Settings
from semtel_dagster.summaries import Summaries


class DatasetIOManager(BasePolarsUPathIOManager):
    """Stores every asset as a Parquet dataset that either engine can read.

    Frames (Narwhals) are written and scanned by the engine of the environment. Assets of one's own may also ask
    for `pl.DataFrame` or `pl.LazyFrame` by annotation, as with any dagster-polars I/O manager.
    """

    _engine: Engine = PrivateAttr()
    _summaries: Summaries = PrivateAttr()
    _store: ObjectStore | None = PrivateAttr(default=None)

    @classmethod
    def over(cls, engine: Engine, settings: Settings) -> DatasetIOManager:
        """The I/O manager of an environment."""
        manager = cls(base_dir=settings.storage)
        manager._engine = engine
        manager._summaries = Summaries(settings)
        manager._store = ObjectStore.of(settings)
        manager._base_path = UPath(settings.storage)
        return manager

    @property
    def _storage(self) -> Path:
        return Path(str(self.base_dir))

    def get_path_for_partition(self, context: dg.InputContext | dg.OutputContext, path: UPath, partition: str) -> UPath:
        """`week=<date>` or `week=<date>/classifier=<name>`; Dagster joins grid keys as classifier/week."""
        *classifier, week = partition.split("/")
        folder = path / f"{WEEK}={week}"
        return folder / f"{CLASSIFIER}={classifier[0]}" if classifier else folder

    def dump_to_path(self, context: dg.OutputContext, obj: Any, path: UPath) -> None:
        """Writes a frame to a temporary folder, then moves it into its place."""
        own_polars = isinstance(obj, (pl.LazyFrame, pl.DataFrame))
        frame = nw.from_native(obj.lazy()) if own_polars else obj
        engine = PolarsEngine() if own_polars else self._engine
        with replaced_folder(Path(str(path)), self._storage) as staging:
            engine.write(frame, str(staging))
        if self._store:
            self._store.publish(Path(str(path)), self._place(path))

    def _place(self, path: UPath) -> str:
        """A partition's path under the storage, here and in an object store."""
        return Path(str(path)).relative_to(self._storage).as_posix()

    def load_from_path(self, context: dg.InputContext, path: UPath) -> Any:
        """Scans one partition."""
        return self._load(context, [path])

    def load_partitions(self, context: dg.InputContext) -> Any:
        """Scans all partitions that an input maps to, as one frame."""
        return self._load(context, list(self._get_paths_for_partitions(context).values()))

    def get_metadata(self, context: dg.OutputContext, obj: Any) -> dict[str, dg.MetadataValue]:
        """Rows, size and schema of what was written, and the table's own figures."""
        (path,) = self._get_paths_for_partitions(context).values()
        parts = sorted(Path(str(path)).glob("*.parquet"))
        metadata: dict[str, Any] = {
            "dagster/row_count": sum(pq.read_metadata(part).num_rows for part in parts),
            "size_mb": round(sum(part.stat().st_size for part in parts) / 1e6, 3),
            "dagster/column_schema": _column_schema(parts[0]),
            "path": dg.MetadataValue.path(str(path)),
        }
        if self._store:
            metadata["published"] = f"{self._store.url}/{self._place(path)}"
        return metadata | dict(self._summaries(context.asset_key.path[-1], self._engine.scan([str(path)])))

    def write_df_to_path(self, context: dg.OutputContext, df: pl.DataFrame, path: UPath) -> None:
        """Writes an eager Polars frame."""
        self.dump_to_path(context, df, path)

    def sink_df_to_path(self, context: dg.OutputContext, df: pl.LazyFrame, path: UPath) -> None:
        """Writes a lazy Polars frame."""
        self.dump_to_path(context, df, path)

    def scan_df_from_path(self, path: UPath, context: dg.InputContext) -> pl.LazyFrame:
        """Scans a partition as a Polars frame."""
        lazy: pl.LazyFrame = nw.to_native(PolarsEngine().scan([str(path)]))
        return lazy

    def _load(self, context: dg.InputContext, paths: list[UPath]) -> Any:
        if self._store:
            for path in paths:
                self._store.fetch(self._place(path), self._storage)
        missing = [str(path) for path in paths if not any(Path(str(path)).glob("*.parquet"))]
        if missing:
            raise FileNotFoundError(
                f"no table at {', '.join(missing[:3])}{' and more' if len(missing) > 3 else ''}; "
                "materialize the upstream partition first"
            )
        folders = [str(path) for path in paths]
        wanted = context.dagster_type.typing_type
        if wanted not in (pl.DataFrame, pl.LazyFrame):
            return self._engine.scan(folders)
        lazy: pl.LazyFrame = nw.to_native(PolarsEngine().scan(folders))
        return lazy.collect() if wanted is pl.DataFrame else lazy


def _column_schema(part: Path) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[dg.TableColumn(name=field.name, type=str(field.type)) for field in pq.read_schema(part)]
    )


@dg.io_manager(required_resource_keys={"engine", "settings"}, description="Parquet datasets under the storage.")
def dataset_io_manager(context: dg.InitResourceContext) -> DatasetIOManager:
    """The I/O manager over the environment's engine and settings."""
    return DatasetIOManager.over(context.resources.engine, context.resources.settings)
