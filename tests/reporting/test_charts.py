import pytest

from semtel_dagster import tables
from semtel_dagster.reporting.charts import MOST_BYTES, share_chart, share_chart_png, trend_chart
from semtel_dagster.reporting.frames import read
from semtel_dagster.reporting.palette import colour_of, label_colours
from semtel_dagster.reporting.report import build_report
from semtel_dagster.settings import Settings
from tests.reporting.synthetic import LEVELS, PROMPTS, SATISFACTION, TOPICS, task


@pytest.mark.parametrize("classifier", ["topic", "expertise"])
def test_the_small_picture_is_a_png_that_fits_into_an_event_log(stored, classifier):
    rows = read(stored.storage, "label_shares", tables.LABEL_SHARES.names, stored.weeks[-1], classifier)
    image = share_chart_png(rows.collect().to_dicts())
    assert image.startswith(b"\x89PNG")
    assert 1_000 < len(image) < MOST_BYTES


def test_a_wholly_suppressed_partition_has_a_picture_too():
    row = {"task": "topic", "label": "(suppressed)", "segment": "all", "share": 1.0, "low": None, "high": None}
    assert share_chart_png([row]).startswith(b"\x89PNG")


def test_every_topic_has_its_own_colour():
    colours = label_colours(task("topic", TOPICS))
    assert len(set(colours.values())) == len(TOPICS)


def test_ordered_labels_run_along_a_ramp_and_scored_ones_from_bad_to_good():
    assert len(set(label_colours(task("level", LEVELS, ordinal=True)).values())) == len(LEVELS)
    assert list(label_colours(SATISFACTION).values()) == ["#cf5f58", "#9299a1", "#3f9d75"]
    assert colour_of(SATISFACTION, "(invalid)") == "#9299a1"


def test_charts_hold_their_own_data_and_name_no_address(stored, statistics):
    report = build_report(stored.storage, stored.weeks[-1], PROMPTS, Settings(storage=stored.storage), statistics)
    for shares in [shares for classifier in report.classifiers for shares in classifier.tasks]:
        for spec in (share_chart(shares), trend_chart(shares)):
            assert "http" not in str(spec)


def test_a_week_in_which_a_label_is_suppressed_breaks_its_line(stored, statistics):
    report = build_report(stored.storage, stored.weeks[-1], PROMPTS, Settings(storage=stored.storage), statistics)
    topic = next(each for each in report.classifiers if each.name == "topic").tasks[0]
    points = next(iter(trend_chart(topic)["datasets"].values()))
    labels = {point["label"] for point in points}
    assert len(points) == len(labels) * len(stored.weeks)
    assert {point["share"] for point in points if point["label"] == "programming"} - {None}
