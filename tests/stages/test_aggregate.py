import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster import tables
from semtel_dagster.classifiers import Label, Task
from semtel_dagster.engines.polars import PolarsEngine
from semtel_dagster.estimation.estimator import ShareEstimator
from semtel_dagster.settings import AggregateSettings
from semtel_dagster.stages.aggregate import aggregate

TOPIC = Task(name="topic", question="What is it about?", labels=tuple(Label(name=n, definition=n) for n in "zab"))
OPEN = AggregateSettings(min_conversations=1, min_users=1)


def row(number, label="z", *, user="", weight=1.0, status="exact", score=None, language="en", task="topic"):
    return {
        "conversation_id": f"c{number:04}", "user_id": user or f"u{number}", "task": task, "label": label,
        "score": score, "label_status": status, "weight": weight, "language": language,
    }  # fmt: skip


def shares(rows, options=OPEN, tasks=(TOPIC,)):
    schema = pl.DataFrame(tables.LABELS.empty_table()).schema
    frame = pl.DataFrame(rows, schema={name: schema[name] for name in schema}) if rows else pl.DataFrame(schema=schema)
    result = nw.to_native(
        aggregate(nw.from_native(frame.lazy()), options, PolarsEngine(), ShareEstimator(options, tasks))
    ).collect()
    assert result.to_arrow().schema.names == tables.LABEL_SHARES.names
    return result


def test_the_result_has_exactly_the_contract_s_columns_and_types():
    assert shares([row(1)]).schema == pl.DataFrame(tables.LABEL_SHARES.empty_table()).schema
    assert shares([]).schema == pl.DataFrame(tables.LABEL_SHARES.empty_table()).schema


def test_shares_are_weighted():
    found = shares([row(1, "z", weight=3.0), row(2, "a"), row(3, "a")])
    assert dict(found.select("label", "share").iter_rows()) == {"z": 0.6, "a": 0.4}
    assert found["n"].to_list() == [1, 2]


def test_the_sums_match_the_estimate_made_from_them_by_hand():
    """Users (label, total): (3, 3), (0, 1), (0, 4), as in the estimator's own test."""
    labels = {"x": "zzz", "y": "a", "v": "aaaa"}
    rows = [row(i, one, user=user) for i, (user, one) in enumerate((u, o) for u, many in labels.items() for o in many)]
    found = shares(rows).filter(pl.col("label") == "z").to_dicts()[0]
    variance = 3 / 2 * (1.875**2 + 0.375**2 + 1.5**2) / 8**2
    assert found["share"] == 3 / 8
    assert found["n_users"] == 1
    assert found["effective_n"] == pytest.approx(3 / 8 * 5 / 8 / variance)
    assert found["low"] < 3 / 8 < found["high"]


def test_what_has_no_label_is_a_cell_of_its_own():
    found = shares([row(1), row(2, None, status="invalid"), row(3, None, status="unanswered"), row(4)])
    assert dict(found.select("label", "share").iter_rows()) == {"z": 0.5, "(invalid)": 0.25, "(unanswered)": 0.25}


def test_conversations_without_a_user_are_their_own_clusters():
    found = shares([row(1) | {"user_id": None}, row(2) | {"user_id": None}, row(3, user="u"), row(4, user="u")])
    assert found["n_users"].to_list() == [3]


def test_the_mean_score_is_weighted_and_skips_missing_scores():
    found = shares([row(1, weight=3.0, score=10.0), row(2, score=50.0), row(3, score=None)])
    assert found["mean_score"].to_list() == [20.0]


def test_rows_are_ordered_by_task_segment_and_label():
    options = OPEN.model_copy(update={"segments": ("language",)})
    other = TOPIC.model_copy(update={"name": "aim"})
    rows = [row(1, "b"), row(2, None, status="invalid", language="de"), row(3, "z"), row(4, "a", task="aim")]
    found = shares(rows, options, (TOPIC, other)).select("task", "segment", "label").rows()
    assert found == [
        ("topic", "all", "z"), ("topic", "all", "b"), ("topic", "all", "(invalid)"),
        ("topic", "language=de", "(invalid)"), ("topic", "language=en", "z"), ("topic", "language=en", "b"),
        ("aim", "all", "a"), ("aim", "language=en", "a"),
    ]  # fmt: skip


def test_a_missing_segment_value_is_told():
    options = OPEN.model_copy(update={"segments": ("language",)})
    found = shares([row(1, language=None), row(2)], options)
    assert set(found["segment"]) == {"all", "language=en", "language=(unknown)"}


def test_small_cells_are_pooled_with_their_users_counted_once():
    options = AggregateSettings(min_conversations=5, min_users=2)
    rows = [row(i, "z") for i in range(20)]
    rows += [row(20 + i, label, user=f"s{i % 3}") for i, label in enumerate("aaabbb")]
    pool = shares(rows, options).filter(pl.col("suppressed")).to_dicts()
    assert [(p["label"], p["n"], p["n_users"]) for p in pool] == [("(suppressed)", 6, 3)]
    assert pool[0]["low"] < pool[0]["share"] < pool[0]["high"]


def test_a_wholly_suppressed_segment_is_one_row_without_an_estimate():
    found = shares([row(1), row(2, "a")], AggregateSettings()).to_dicts()
    assert [(r["label"], r["n"], r["share"], r["low"], r["effective_n"]) for r in found] == [
        ("(suppressed)", 2, 1.0, None, None)
    ]


labelled = st.lists(
    st.tuples(
        st.sampled_from(["z", "a", "b", None]),
        st.sampled_from(["u1", "u2", "u3", "u4", None]),
        st.sampled_from([1.0, 2.5]),
        st.sampled_from(["en", "de", None]),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=25, deadline=None)
@given(labelled, st.integers(1, 8), st.integers(1, 3))
def test_every_conversation_is_in_exactly_one_cell_of_each_segment(drawn, conversations, users):
    options = AggregateSettings(min_conversations=conversations, min_users=users, segments=("language",))
    rows = [
        row(i, label, weight=weight, language=language, status="exact" if label else "invalid") | {"user_id": user}
        for i, (label, user, weight, language) in enumerate(drawn)
    ]
    found = shares(rows, options)
    per_segment = found.group_by("segment").agg(pl.col("n", "share").sum(), pl.len())
    languages = [f"language={language or '(unknown)'}" for *_, language in drawn]
    for segment, n, share, cells in per_segment.iter_rows():
        assert n == (len(drawn) if segment == "all" else languages.count(segment))
        assert share == pytest.approx(1.0)
        published = found.filter((pl.col("segment") == segment) & ((pl.col("label") != "(suppressed)") | (cells > 1)))
        assert all(row["n"] >= conversations and row["n_users"] >= users for row in published.to_dicts())
