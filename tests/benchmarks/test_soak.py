"""The verdict of the soak: what grows is found, what swings is not blamed."""

from random import Random

import pytest

from benchmarks.readings import slope
from benchmarks.soak import Reading, judge

MINUTES = [number / 6 for number in range(1, 91)]


def readings(**grows):
    chance = Random(1)
    swing = {name: [chance.randint(-20, 20) for _ in MINUTES] for name in ("open_files", "connections", "tasks")}
    return [
        Reading(
            minute=minute,
            rows=int(1000 * minute),
            threads=10 + int(grows.get("threads", 0) * minute),
            resident_mb=170 + grows.get("resident_mb", 0) * minute + (200 if at == 50 else 0),
            **{name: int(200 + values[at] + grows.get(name, 0) * minute) for name, values in swing.items()},
        )
        for at, minute in enumerate(MINUTES)
    ]


def test_what_swings_and_spikes_is_flat():
    assert all(holds for *_, holds in judge(readings()))


@pytest.mark.parametrize(
    ("name", "shown"),
    [("open_files", "open files"), ("tasks", "tasks"), ("threads", "threads"), ("resident_mb", "resident MB")],
)
def test_what_grows_is_found(name, shown):
    verdicts = {name: holds for name, *_, holds in judge(readings(**{name: 4.0}))}
    assert not verdicts.pop(shown)
    assert all(verdicts.values())


def test_the_slope_is_per_unit_of_time():
    assert slope([0.0, 1.0, 4.0], [10.0, 12.0, 18.0]) == pytest.approx(2.0)
