"""What a task does with its batches, without Spark around it."""

import pickle

import pyarrow as pa
import pytest

from semtel_dagster.engines.arrow_types import plain_schema, wire_schema
from semtel_dagster.engines.spark_tasks import RunFunction, RunGenerators, WriteParts
from tests.engines.row_functions import EVERYTHING, SEEN, Generate, tell_schema, too_narrow

PLAIN = plain_schema(EVERYTHING)


def generated(*functions):
    """What a task makes of generators, all of them (one that makes three rows by default)."""
    functions = functions or (Generate(),)
    numbers = pa.record_batch({"id": pa.array(range(len(functions)), pa.int64())})
    return RunGenerators(functions, EVERYTHING)(iter([numbers]))


@pytest.mark.parametrize("task", [RunFunction(tell_schema, PLAIN, SEEN), RunGenerators((Generate(),), EVERYTHING)])
def test_a_task_can_travel(task):
    assert pickle.loads(pickle.dumps(task)) == task


def test_two_frames_of_one_function_are_two_plans():
    assert RunFunction(tell_schema, PLAIN, SEEN) != RunFunction(tell_schema, PLAIN, SEEN)


def test_a_generator_s_batches_leave_in_wire_types():
    batches = list(generated())
    assert {batch.schema for batch in batches} == {wire_schema(PLAIN)}
    assert sum(batch.num_rows for batch in batches) == 3


def test_a_task_runs_the_generators_that_its_input_names():
    task = RunGenerators((Generate((0,)), Generate((1,)), Generate((2,))), EVERYTHING)
    numbers = pa.record_batch({"id": pa.array([2, 0], pa.int64())})
    assert [row["id"] for batch in task(iter([numbers])) for row in batch.to_pylist()] == ["c", "a"]


def test_a_broken_promise_is_told_by_column_and_type():
    wire = generated()
    with pytest.raises(TypeError, match="schema: int64"):
        list(RunFunction(too_narrow, PLAIN, SEEN)(wire))


def test_a_task_without_rows_writes_no_part(tmp_path):
    pytest.importorskip("pyspark")
    nothing = generated(Generate(()))
    assert list(WriteParts(str(tmp_path), PLAIN)(nothing)) == []
    assert list(tmp_path.iterdir()) == []


def test_a_retried_task_writes_another_file_and_tells_which(tmp_path):
    pytest.importorskip("pyspark")
    write = WriteParts(str(tmp_path), PLAIN)
    told = [row for _ in range(2) for batch in write(generated()) for row in batch.to_pylist()]
    assert sorted(row["file"] for row in told) == sorted(path.name for path in tmp_path.iterdir())
    assert len({row["file"] for row in told}) == 2
