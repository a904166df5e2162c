"""A text that is near one of an earlier week is answered by what was paid for then."""

import polars as pl
import pytest

from tests.pipeline import conversation, project, run_weeks, table

RENT = "Please write a polite letter to my landlord about the heating, which has been out for nine days already."
SOUP = "What can I cook from leeks, two potatoes and half a cup of cream that is left from yesterday's dinner?"
REPLY = "Gladly. Here is a first version for you to look at."
FIRST, SECOND, THIRD = "2026-10-05", "2026-10-12", "2026-10-19"


def weeks(folder, earlier_weeks, third=()):
    given = [
        conversation(1, RENT, REPLY, day=5),
        conversation(2, SOUP, REPLY, day=6),
        conversation(3, RENT.replace("nine", "ten"), REPLY, day=13),
        conversation(4, RENT.replace("nine", "twelve"), REPLY, day=14),
        conversation(5, "Which planet has the most moons?", REPLY, day=15),
        *third,
    ]
    return project(folder, given, dedupe={"earlier_weeks": earlier_weeks})


def of_week(settings, name, week):
    return table(settings, name).filter(pl.col("week") == pl.lit(week).str.to_date())


def asked(settings, week):
    """How many texts a classifier was asked about in a week."""
    responses = of_week(settings, "responses", week)
    return responses.filter(~pl.col("from_journal")).height / responses["classifier"].n_unique()


@pytest.fixture(scope="module")
def two_weeks(tmp_path_factory):
    settings = weeks(tmp_path_factory.mktemp("two"), 1)
    run_weeks(settings, FIRST, SECOND, report=False)
    return settings


def test_only_what_no_earlier_week_had_is_asked(two_weeks):
    assert asked(two_weeks, SECOND) == 1
    assert of_week(two_weeks, "labels", SECOND)["conversation_id"].n_unique() == 3


@pytest.mark.slow
def test_without_earlier_weeks_a_text_that_resembles_one_is_asked(tmp_path):
    settings = weeks(tmp_path, 0)
    run_weeks(settings, FIRST, SECOND, report=False)
    assert asked(settings, SECOND) == 2


def test_the_earlier_representative_stands_for_the_text_with_its_own_row(two_weeks):
    groups, distinct = (of_week(two_weeks, name, SECOND) for name in ("duplicate_groups", "distinct_conversations"))
    joined = groups.filter(pl.col("conversation_id").is_in(["c0003", "c0004"]))
    assert joined["representative_id"].to_list() == ["c0001", "c0001"]
    assert joined["kind"].to_list() == ["near", "near"]
    assert joined["similarity"].min() >= two_weeks.dedupe.threshold
    assert distinct.select("conversation_id", "group_size").sort("group_size").rows() == [("c0005", 1), ("c0001", 2)]
    first = of_week(two_weeks, "distinct_conversations", FIRST).filter(conversation_id="c0001")
    assert distinct.filter(conversation_id="c0001")["text"].item() == first["text"].item()


@pytest.mark.slow
def test_a_week_that_is_not_there_is_passed_over(tmp_path):
    settings = weeks(tmp_path, 3)
    run_weeks(settings, SECOND, report=False)
    assert of_week(settings, "distinct_conversations", SECOND).height == 2


@pytest.mark.slow
def test_the_same_text_in_a_later_week_stands_for_itself(tmp_path):
    settings = weeks(tmp_path, 2, third=[conversation(6, RENT, REPLY, day=20), conversation(7, SOUP, REPLY, day=21)])
    run_weeks(settings, FIRST, SECOND, THIRD, report=False)
    groups = of_week(settings, "duplicate_groups", THIRD)
    assert groups.select("conversation_id", "representative_id", "kind").sort("conversation_id").rows() == [
        ("c0006", "c0006", "representative"),
        ("c0007", "c0007", "representative"),
    ]
    assert of_week(settings, "responses", THIRD)["from_journal"].all()
