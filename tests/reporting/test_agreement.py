import datetime as dt
import json

import polars as pl
import pytest

from semtel_dagster.errors import SettingsError
from semtel_dagster.evaluation.agreement import cohen_kappa
from semtel_dagster.reporting.agreement import agreement_with_gold, load_gold, measure_agreement
from tests.reporting.synthetic import PROMPTS, task

YES_NO = task("yes", ["yes", "no"])
SCALE = task("scale", ["low", "middle", "high"], ordinal=True)


def test_kappa_by_hand():
    """20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed .7, expected .5."""
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    found = measure_agreement(YES_NO, pairs)
    assert (found.n, found.accuracy, found.baseline) == (50, 0.7, 0.5)
    assert found.kappa == pytest.approx(0.4)


def test_quadratic_weights_forgive_near_misses():
    near = [("low", "middle"), ("middle", "middle"), ("high", "high"), ("low", "low")]
    far = [("low", "high"), ("middle", "middle"), ("high", "high"), ("low", "low")]
    assert measure_agreement(SCALE, near).kappa > measure_agreement(SCALE, far).kappa
    assert cohen_kappa(near, ["low", "middle", "high"], quadratic=True) == pytest.approx(1 - 0.25 / 1.25)


def test_full_agreement_is_one_and_one_single_label_is_undefined():
    assert measure_agreement(SCALE, [("low", "low"), ("high", "high")]).kappa == 1
    assert measure_agreement(YES_NO, [("yes", "yes")] * 3).kappa is None
    assert measure_agreement(YES_NO, []) is None


def test_a_conversation_without_a_label_disagrees():
    found = measure_agreement(YES_NO, [("yes", "yes"), ("no", "no"), ("yes", None)])
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.kappa < 1


def test_gold_is_compared_with_the_stored_labels(stored, tmp_path):
    labels = pl.read_parquet(f"{stored.storage}/labels/*/classifier=topic/*.parquet").drop_nulls("label").head(50)
    rows = [
        {"conversation_id": i, "task": "topic", "label": label if place % 5 else "other", "annotator": "someone"}
        for place, (i, label) in enumerate(labels.select("conversation_id", "label").iter_rows())
    ]
    (tmp_path / "gold.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    gold = load_gold(str(tmp_path / "*.jsonl"))
    found = agreement_with_gold(stored.storage, PROMPTS, gold, stored.weeks[-1])
    assert set(found) == {"topic"}
    assert found["topic"].n == 50
    assert found["topic"].accuracy >= 0.8
    assert agreement_with_gold(stored.storage, PROMPTS, gold, dt.date(2020, 1, 6)) == {}


def test_a_broken_gold_file_is_told_with_its_line(tmp_path):
    (tmp_path / "gold.jsonl").write_text('{"conversation_id": "a", "task": "t", "label": "x"}\n{"task": 3}\n')
    with pytest.raises(SettingsError, match=r"gold\.jsonl, line 2"):
        load_gold(str(tmp_path / "gold.jsonl"))
