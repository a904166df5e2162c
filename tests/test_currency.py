"""The check says in words what is not current any more, what changed, and what catching up takes."""

import dagster as dg

from semtel_dagster.definitions import build_defs
from tests.living import edit, reloaded


def checked(settings, instance):
    """Runs the check alone, as the daily condition does."""
    defs = build_defs(settings)
    key = dg.AssetCheckKey(dg.AssetKey("responses"), "answers_are_current")
    job = dg.define_asset_job("check_only", dg.AssetSelection.checks(key)).resolve(
        asset_graph=defs.resolve_asset_graph(), resource_defs=dict(defs.get_repository_def().get_top_level_resources())
    )
    result = job.execute_in_process(instance=instance)
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def test_when_everything_is_current_it_passes(labelled):
    evaluation = checked(*labelled)
    assert evaluation.passed
    assert "what the prompts, models and parsers of now would give" in evaluation.description


def test_a_changed_definition_is_told_with_its_label_its_weeks_and_the_price(labelled):
    settings, instance = labelled
    edit(settings, "expertise", ("Knows the basic words and goals", "Knows some basic words"))
    evaluation = checked(settings, instance)
    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.WARN
    told = evaluation.metadata["what_changed"].value
    assert "**expertise**, 2 weeks from 2026-10-05 to 2026-10-12: the prompt changed" in told
    assert "label beginner of user_expertise: definition: 'Knows the basic words and goals" in told
    assert "intent" not in told
    assert "11 calls" in evaluation.description
    assert evaluation.metadata["calls"].value == 11


def test_work_that_was_never_done_is_no_warning(labelled):
    settings, instance = labelled
    assert checked(reloaded(settings, classifiers=["expertise", "intent", "topic"]), instance).passed
