import math
import pickle
import statistics
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.errors import SettingsError
from semtel_dagster.settings import SampleSettings, Stratum
from semtel_dagster.stages.sample import SelectConversations, Threshold, draw, sample
from semtel_dagster.tables import CONVERSATIONS, SAMPLED_CONVERSATIONS
from tests.stages.builders import ENGINE, conversation, frame, real_week, rows_of, table_of

GERMAN = Stratum(name="german", values=("de", "at"), per_week=5)


def week(n=200):
    """Conversations of heavy, light and unknown users in two languages."""
    users = [None, *[f"heavy{k}" for k in range(3)] * 3, "light"]
    return [
        conversation(
            k, user_id=f"light{k}" if users[k % 11] == "light" else users[k % 11], language="de" if k % 4 == 0 else "en"
        )
        for k in range(n)
    ]


def sampled(rows, **options):
    return rows_of(sample(frame(rows), SampleSettings(**options), ENGINE))


def ids(rows):
    return {row["conversation_id"] for row in rows}


@given(st.integers(), st.text(alphabet=st.characters(exclude_categories=["Cs"])))
@settings(deadline=None)
def test_a_draw_is_a_function_of_seed_and_id_in_the_unit_interval(seed, conversation_id):
    assert 0 <= draw(seed, conversation_id) < 1
    assert draw(seed, conversation_id) == draw(seed, conversation_id)


def test_draws_are_fixed_for_ever():
    assert draw(0, "c1") == 0.24650111536816988


def test_draws_are_uniform_and_differ_by_seed():
    draws = sorted(draw(3, f"c{k}") for k in range(10_000))
    distance = max(abs(at - k / len(draws)) for k, at in enumerate(draws))
    assert distance < 1.95 / math.sqrt(len(draws))
    assert (
        abs(statistics.correlation([draw(1, str(k)) for k in range(2000)], [draw(2, str(k)) for k in range(2000)]))
        < 0.1
    )


def test_a_rate_of_one_keeps_everything_with_weight_one():
    rows = week()
    found = sampled(rows)
    assert [row["conversation_id"] for row in found] == [row["conversation_id"] for row in rows]
    assert {(row["stratum"], row["inclusion_probability"], row["sampling_weight"]) for row in found} == {("rest", 1, 1)}


def test_the_table_is_exactly_the_contract():
    schema = table_of(sample(frame(week()), SampleSettings(rate=0.5), ENGINE)).schema
    assert schema.names == SAMPLED_CONVERSATIONS.names
    assert schema.types == SAMPLED_CONVERSATIONS.types


def test_an_empty_week_gives_an_empty_sample():
    assert sampled([], per_week=3, max_per_user=1, strata=(GERMAN,)) == []


@given(st.floats(0.01, 1), st.floats(0.01, 1), st.sampled_from([None, 1, 3]), st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_a_larger_rate_gives_a_superset(one, other, cap, seed):
    small, large = sorted((one, other))
    rows = week(60)
    options = {"max_per_user": cap, "seed": seed}
    assert ids(sampled(rows, rate=small, **options)) <= ids(sampled(rows, rate=large, **options))


@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([None, 1, 3]), st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_a_larger_count_gives_a_superset(one, other, cap, seed):
    small, large = sorted((one, other))
    rows = week(60)
    options = {"max_per_user": cap, "seed": seed}
    assert ids(sampled(rows, per_week=small, **options)) <= ids(sampled(rows, per_week=large, **options))


@pytest.mark.parametrize("count", [1, 40, 199, 200, 500])
def test_a_target_count_takes_just_as_many_with_probability_k_of_n(count):
    found = sampled(week(200), per_week=count)
    assert len(found) == min(count, 200)
    assert {row["inclusion_probability"] for row in found} == {min(count, 200) / 200}
    assert sum(row["sampling_weight"] for row in found) == pytest.approx(200)


def test_of_rate_and_count_the_tighter_holds():
    rows = week(200)
    assert ids(sampled(rows, rate=0.2, per_week=150)) == ids(sampled(rows, rate=0.2))
    assert ids(sampled(rows, rate=0.9, per_week=20)) == ids(sampled(rows, per_week=20))


def test_strata_have_their_own_rates_and_counts_and_the_first_that_fits_wins():
    all_english = Stratum(name="english", values=("en",), rate=1.0)
    late = Stratum(name="late", values=("en", "de"), rate=0.1)
    found = sampled(week(200), rate=0.5, strata=(GERMAN, all_english, late))
    by_stratum = Counter((row["stratum"], row["language"], row["sampling_weight"]) for row in found)
    assert by_stratum == {("german", "de", 10.0): 5, ("english", "en", 1.0): 150}


def test_a_stratum_without_a_number_of_its_own_and_the_rest_follow_the_general_rate():
    found = sampled(week(400), rate=0.25, strata=(Stratum(name="german", values=("de",)),))
    assert {(row["stratum"], row["sampling_weight"]) for row in found} == {("german", 4.0), ("rest", 4.0)}


def test_a_stratum_may_be_told_by_the_sources_own_column():
    rows = [conversation(k, extra='{"plan": "free"}' if k < 30 else None) for k in range(40)]
    free = Stratum(name="free", column="plan", values=("free",), per_week=3)
    assert Counter(row["stratum"] for row in sampled(rows, strata=(free,))) == {"free": 3, "rest": 10}


@pytest.mark.parametrize("names", [("a", "a"), ("rest",)])
def test_names_of_strata_must_differ(names):
    strata = tuple(Stratum(name=name, values=("x",)) for name in names)
    with pytest.raises(SettingsError, match=r"sample\.strata: names must differ"):
        sample(frame([]), SampleSettings(strata=strata), ENGINE)


@pytest.mark.parametrize("options", [{}, {"rate": 0.6}, {"per_week": 120}, {"strata": (GERMAN,)}])
def test_no_user_has_more_than_the_cap_and_rows_without_a_user_are_not_capped(options):
    rows = week(200)
    capped, free = sampled(rows, max_per_user=4, **options), sampled(rows, **options)
    held = Counter(row["user_id"] for row in capped)
    before = Counter(row["user_id"] for row in free)
    assert {user: n for user, n in held.items() if user} == {user: min(4, n) for user, n in before.items() if user}
    assert held[None] == before[None]
    assert ids(capped) <= ids(free)


def test_under_a_cap_a_users_weights_stand_for_all_of_the_users_sampled_rows():
    rows = week(200)
    free, capped = sampled(rows, rate=0.7), sampled(rows, rate=0.7, max_per_user=2)

    def totals(found):
        total = Counter()
        for row in found:
            total[row["user_id"]] += row["sampling_weight"]
        return total

    assert totals(capped) == pytest.approx(totals(free))


DESIGNS = [
    {"rate": 0.4},
    {"per_week": 30},
    {"rate": 0.5, "max_per_user": 2},
    {"per_week": 30, "max_per_user": 2},
    {"rate": 0.6, "max_per_user": 2, "strata": (GERMAN,)},
    {"max_per_user": 3, "strata": (Stratum(name="german", values=("de",), rate=0.3),)},
]


@pytest.mark.parametrize("design", DESIGNS, ids=str)
def test_weights_estimate_totals_without_bias_under_every_design(design):
    rows = week(66)
    measures = {
        "all": lambda row: 1.0,
        "german": lambda row: float(row["language"] == "de"),
        "heavy": lambda row: float((row["user_id"] or "").startswith("heavy")),
        "index": lambda row: float(row["conversation_id"][1:]),
    }
    samples = [sampled(rows, seed=seed, **design) for seed in range(100)]
    for measure in measures.values():
        truth = sum(measure(row) for row in rows)
        estimates = [sum(measure(row) * row["sampling_weight"] for row in found) for found in samples]
        error = statistics.stdev(estimates) / math.sqrt(len(estimates))
        assert abs(statistics.mean(estimates) - truth) <= 4 * error + 1e-9


def test_the_row_function_is_picklable_and_blind_to_batches():
    select = pickle.loads(pickle.dumps(SelectConversations(SampleSettings(), {"rest": Threshold(0.5, 0.5)})))
    (batch,) = pa.Table.from_pylist(week(50), schema=CONVERSATIONS).combine_chunks().to_batches()
    whole = pa.Table.from_batches(select(iter([batch])))
    parts = pa.Table.from_batches(select(batch.slice(k, 7) for k in range(0, 50, 7)))
    assert whole.equals(parts.combine_chunks()) or whole.to_pylist() == parts.to_pylist()


@pytest.mark.shared
def test_real_conversations_are_sampled_to_their_count_under_a_cap():
    conversations = real_week("recllmsim")
    found = table_of(sample(conversations, SampleSettings(per_week=100, max_per_user=3), ENGINE))
    free = table_of(sample(conversations, SampleSettings(per_week=100), ENGINE))
    assert free.num_rows == 100
    assert max(Counter(found.column("user_id").to_pylist()).values()) == 3
    assert sum(found.column("sampling_weight").to_pylist()) == pytest.approx(423)
