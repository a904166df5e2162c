"""The Spark engine: many machines, one plan.

Row functions run in the tasks through `mapInArrow` and see the same batches as on Polars; nothing but figures and
file names comes back to the driver. How a session is made is in `session`, what tasks do in `spark_tasks`.
"""

from __future__ import annotations

import re
import shutil
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import narwhals as nw
import pyarrow as pa
import pyarrow.parquet as pq

from semtel_dagster.engines.arrow_types import from_spark, plain_schema, to_spark, wire_schema
from semtel_dagster.engines.base import ArrowFunction, Frame, Generator
from semtel_dagster.engines.parts import write_part
from semtel_dagster.engines.spark_tasks import PARTS, RunFunction, RunGenerators, WriteParts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

PARTITION_COLUMNS = {"week": pa.date32(), "classifier": pa.large_string()}
KEPT_FRAMES = 8


class SparkEngine:
    """Runs stages on Spark DataFrames: local, standalone, Connect or a managed cluster.

    A row function runs once per row, however often Spark needs its result (a sort alone asks for it twice): results
    are kept on the executors' disks until some newer ones push them out.

    Args:
        session: Gives the session; called when the first frame is made, so that loading definitions starts no Spark.
    """

    name = "spark"
    distributed = True

    def __init__(self, session: Callable[[], SparkSession]) -> None:
        self._open = session
        self._kept: deque[DataFrame] = deque()

    @property
    def session(self) -> SparkSession:
        """The session; started by the first use."""
        return self._open()

    @property
    def tasks(self) -> int:
        """Spark's default parallelism: `spark.default.parallelism`, or the cores of the executors that are there.

        Set it where executors come and go (dynamic allocation): it is asked for when a stage is planned.
        """
        from pyspark.sql.functions import spark_partition_id

        self.session.range(1).count()  # a new cluster knows its cores only when its first executor works
        everywhere = self.session.range(2**16).select(spark_partition_id().alias("task"))
        return everywhere.distinct().count()

    def map_batches(self, frame: Frame, function: ArrowFunction, schema: pa.Schema) -> Frame:
        """Applies a function to a frame's batches, lazily; the result has exactly `schema`, all fields nullable."""
        native: DataFrame = nw.to_native(frame)
        task = RunFunction(function, from_spark(native.schema), schema)
        return self._keep(native.mapInArrow(task, to_spark(plain_schema(schema))))

    def from_batches(self, function: Generator, schema: pa.Schema) -> Frame:
        """A frame whose rows a generator makes in one task on an executor, e.g. a reader of a source."""
        return self.from_parts([function], schema)

    def from_parts(self, functions: Sequence[Generator], schema: pa.Schema) -> Frame:
        """A frame whose rows generators make, each in a task of its own; rows follow the generators' order."""
        seeds = self.session.range(0, len(functions), 1, max(len(functions), 1))
        made = seeds.mapInArrow(RunGenerators(tuple(functions), schema), to_spark(plain_schema(schema)))
        return self._keep(made)

    def spread(self, frame: Frame, key: str, *, order: Sequence[str] = ()) -> Frame:
        """The same rows by the hash of a column in as many partitions as tasks run at once.

        That is one wave of tasks, so each may count on its share of what they use in common until the end.
        """
        native: DataFrame = nw.to_native(frame)
        spread = native.repartition(self.tasks, key)
        return nw.from_native(spread.sortWithinPartitions(key, *order) if order else spread)

    def match(self, frame: Frame, few: Frame, on: Sequence[str]) -> Frame:
        """The rows of a large frame that have a partner in another one, with its columns."""
        return frame.join(few, on=list(on), how="inner")

    def sort_by_hash(self, frame: Frame, key: str) -> Frame:
        """The same rows in ascending order of a column of hexadecimal hashes."""
        return frame.sort(key)

    def from_arrow(self, table: pa.Table) -> Frame:
        """A frame over a small table in memory, rows in order."""
        plain = plain_schema(table.schema)
        rows = table.cast(wire_schema(plain))
        return nw.from_native(self.session.createDataFrame(rows, schema=to_spark(plain)).coalesce(1))

    def scan(self, folders: list[str]) -> Frame:
        """A frame over dataset folders of Parquet parts, whichever engine wrote them; with partition columns.

        Folders without parts are passed over, as Polars does.

        Raises:
            FileNotFoundError: No folder has a part.
        """
        parts = {folder: sorted(Path(folder).glob("*.parquet")) for folder in folders}
        present = [folder for folder, files in parts.items() if files]
        if not present:
            raise FileNotFoundError(f"no Parquet parts in {', '.join(folders[:3]) or 'an empty list of folders'}")
        stored = pq.read_schema(parts[present[0]][0])
        root, columns = _split_partitions(Path(present[0]))
        reader = self.session.read.schema(to_spark(plain_schema(pa.schema([*stored, *columns]))))
        reader = reader.options(basePath=_uri(root), pathGlobFilter="*.parquet")
        return nw.from_native(reader.parquet(*[_without_globs(_uri(Path(folder))) for folder in present]))

    def write(self, frame: Frame, folder: str) -> None:
        """Writes a frame as zstd Parquet parts into an empty local folder that every executor sees.

        The parts follow the frame's order; there is at least one. Nothing else stays in the folder.
        """
        native: DataFrame = nw.to_native(frame)
        stored = native.drop(*PARTITION_COLUMNS)
        schema = from_spark(stored.schema)
        unfinished = Path(folder) / ".unfinished"
        unfinished.mkdir(parents=True)
        try:
            written = stored.mapInArrow(WriteParts(str(unfinished), schema), to_spark(PARTS)).toArrow()
            files = [row["file"] for row in sorted(written.to_pylist(), key=lambda row: row["partition"])]
            for number, file in enumerate(files):
                (unfinished / file).rename(_part(folder, number))
            if not files:
                write_part(iter(()), schema, str(_part(folder, 0)))
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _keep(self, frame: DataFrame) -> Frame:
        from pyspark import StorageLevel

        self._kept.append(frame.persist(StorageLevel.DISK_ONLY))
        while len(self._kept) > KEPT_FRAMES:
            self._kept.popleft().unpersist()
        return nw.from_native(frame)


def _split_partitions(folder: Path) -> tuple[Path, list[pa.Field]]:
    """The dataset's root above a partition folder, and the partition columns below it."""
    columns: list[pa.Field] = []
    name, equals, _ = folder.name.partition("=")
    while equals and name in PARTITION_COLUMNS:
        columns.insert(0, pa.field(name, PARTITION_COLUMNS[name]))
        folder = folder.parent
        name, equals, _ = folder.name.partition("=")
    return folder, columns


def _uri(path: Path) -> str:
    return f"file://{path.absolute()}"


def _without_globs(uri: str) -> str:
    """Spark takes brackets and stars in a path as patterns."""
    return re.sub(r"([][{}*?\\])", r"\\\1", uri)


def _part(folder: str, number: int) -> Path:
    return Path(folder) / f"part-{number:05}.parquet"
