"""Old and new side by side: moves sum up, a sample is asked about once, old answers stay."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semtel_dagster.comparing import choose_prompts, compare
from semtel_dagster.errors import SettingsError
from semtel_dagster.flows import task_flows
from semtel_dagster.planning.project import Project
from semtel_dagster.reporting.flow_charts import flows_page, flows_table, shares_table
from tests.living import WEEKS, catch_up, edit, planned

CHANGE = ("Knows the basic words and goals", "Knows the basic words")


def labels(*values):
    return pl.DataFrame(
        {
            "content_hash": [str(at) for at in range(len(values))],
            "task": "topic",
            "label": list(values),
            "label_status": ["exact" if value else "invalid" for value in values],
        },
        schema=dict.fromkeys(("content_hash", "task", "label", "label_status"), pl.String),
    )


def weights(*values):
    return pl.DataFrame({"content_hash": [str(at) for at in range(len(values))], "weight": [float(v) for v in values]})


def test_moves_are_weighted_and_named():
    (task,) = task_flows(labels("a", "a", "b", None), labels("a", "b", "b", "a"), weights(5, 3, 1, 1))
    assert [(flow.before, flow.after, flow.conversations, round(flow.share, 3)) for flow in task.flows] == [
        ("a", "a", 1, 0.5),
        ("a", "b", 1, 0.3),
        ("(invalid)", "a", 1, 0.1),
        ("b", "b", 1, 0.1),
    ]
    assert task.unchanged == pytest.approx(0.6)
    assert {move.label: round(move.change, 3) for move in task.shares} == {"a": -0.2, "b": 0.3, "(invalid)": -0.1}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc"), st.floats(0.1, 10)), min_size=1, max_size=30))
def test_shares_sum_to_one_and_changes_to_zero(rows):
    before, after, weight = zip(*rows, strict=True)
    (task,) = task_flows(labels(*before), labels(*after), weights(*weight))
    assert sum(flow.share for flow in task.flows) == pytest.approx(1)
    assert sum(move.change for move in task.shares) == pytest.approx(0, abs=1e-9)
    assert sum(flow.conversations for flow in task.flows) == len(rows)


def test_before_a_backfill_a_sample_is_asked_about_and_the_backfill_asks_only_for_the_rest(labelled):
    settings, instance = labelled
    edit(settings, "expertise", CHANGE)
    project = Project.of(settings)
    old, new = choose_prompts(project, instance, "expertise", None, None)
    assert new.fingerprint == project.prompts["expertise"].fingerprint != old.fingerprint
    free = compare(project, old, new, WEEKS)
    assert (free.asked, free.unanswered, free.tasks) == (0, 11, ())
    first = compare(project, old, new, WEEKS, sample=4)
    assert (first.asked, first.unanswered) == (4, 0)
    assert {task.task: task.conversations for task in first.tasks} == {"user_expertise": 4, "assistant_expertise": 4}
    assert compare(project, old, new, WEEKS, sample=4).asked == 0
    assert sum(each.calls for each in planned(settings, instance).partitions) == 11 - 4


def test_after_a_backfill_the_old_labels_are_still_there(labelled):
    settings, instance = labelled
    edit(settings, "expertise", CHANGE)
    catch_up(settings, instance)
    project = Project.of(settings)
    old, new = choose_prompts(project, instance, "expertise", None, None)
    comparison = compare(project, old, new, WEEKS)
    assert (comparison.asked, comparison.unanswered) == (0, 0)
    assert all(task.conversations == 11 for task in comparison.tasks)
    backwards = choose_prompts(project, instance, "expertise", new.fingerprint[:6], old.fingerprint[:6])
    assert [prompt.fingerprint for prompt in backwards] == [new.fingerprint, old.fingerprint]


def test_without_an_earlier_version_or_with_an_unknown_one_the_mend_is_told(labelled):
    settings, instance = labelled
    project = Project.of(settings)
    with pytest.raises(SettingsError, match="no earlier version"):
        choose_prompts(project, instance, "expertise", None, None)
    with pytest.raises(SettingsError, match="there are: "):
        choose_prompts(project, instance, "expertise", "zz", None)


def test_the_page_holds_a_chart_and_escapes_what_people_wrote():
    tasks = task_flows(labels("a <b>", "c"), labels("c", "c"), weights(1, 1))
    page = flows_page("topic", ["label x: <script>"], tasks)
    assert "<svg" in page
    assert "<script>" not in page
    assert [table.row_count for task in tasks for table in (shares_table(task), flows_table(task))] == [2, 1]
