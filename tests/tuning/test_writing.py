"""Tuned settings in a settings file: comments stay, and a wrong file is never written."""

import pytest

from semtel_dagster.errors import SettingsError
from semtel_dagster.reducers import PackSettings
from semtel_dagster.settings import Settings, load_settings
from semtel_dagster.tuning.ways import IN_ONE_CONVERSATION, SINGLE, Way
from semtel_dagster.tuning.writing import as_yaml, fields_of, settings_file, write

GROUPS = (("intent", "topic"),)
FILE = """\
# ours
storage: ./data            # on the big disk
classifiers: [intent, topic]
truncate: {max_tokens: 1500, strategy: tail}   # long enough

endpoints:
  - name: east              # the only one
    base_url: http://127.0.0.1:9/v1
    model: m
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "semtel.yaml"
    path.write_text(FILE)
    return path


def test_only_what_changes_is_written_and_everything_else_stays(file):
    way = Way(max_tokens=500, compress=True, combine=True, pack=8)
    fields = fields_of(way, load_settings(file), GROUPS)
    write(file, fields)
    lines = [" ".join(line.split()) for line in file.read_text().splitlines()]
    before = [" ".join(line.split()) for line in FILE.replace("1500", "500").splitlines()]
    assert lines[: len(before)] == before
    assert lines[len(before) :] == [
        f"compress: {{lossless: [{', '.join(IN_ONE_CONVERSATION)}]}}",
        "pack: {conversations: 8}",
        "combine: [[intent, topic]]",
    ]
    tuned = load_settings(file)
    assert tuned.truncate.max_tokens == 500
    assert tuned.truncate.strategy == "tail"
    assert tuned.compress.lossless == IN_ONE_CONVERSATION
    assert (tuned.combine, tuned.pack.conversations) == (GROUPS, 8)
    assert fields_of(way, tuned, GROUPS) == {}


def test_sentences_that_may_go_are_written_as_the_share_that_stays(file):
    way = Way(keep=0.4)
    fields = fields_of(way, load_settings(file), GROUPS)
    assert fields == {"compress": {"sentences": {"keep": 0.4}}}
    write(file, fields)
    assert "compress: {sentences: {keep: 0.4}}" in file.read_text()
    tuned = load_settings(file)
    assert tuned.compress.sentences.keep == 0.4
    assert fields_of(way, tuned, GROUPS) == {}


def test_a_way_without_a_reducer_switches_it_off():
    now = Settings(combine=GROUPS, pack=PackSettings(conversations=8))
    assert fields_of(SINGLE, now, GROUPS) == {"pack": {"conversations": 1}, "combine": []}
    assert fields_of(SINGLE, Settings(), GROUPS) == {}
    assert fields_of(Way(batch=True), Settings(), GROUPS) == {"batch": {"enabled": True}}


def test_a_file_that_would_be_wrong_is_left_as_it_was(file):
    with pytest.raises(SettingsError, match="left as it is"):
        write(file, {"pack": {"conversations": 0}})
    assert file.read_text() == FILE
    assert [path.name for path in file.parent.iterdir()] == ["semtel.yaml"]


def test_without_a_file_nothing_can_be_written(tmp_path):
    with pytest.raises(SettingsError, match="no settings file to write to"):
        settings_file(tmp_path / "none.yaml")


def test_the_fields_are_shown_as_a_user_would_write_them():
    assert as_yaml({"pack": {"conversations": 8}, "combine": [["intent", "topic"]]}) == (
        "pack: {conversations: 8}\ncombine:\n- [intent, topic]"
    )
