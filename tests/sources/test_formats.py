import json

import pytest

from semtel_dagster.errors import SettingsError
from semtel_dagster.settings import SourceSettings
from semtel_dagster.sources.formats import own_names
from tests.sources.builders import MESSAGES, read_week, reasons, row, write_lines

TIME = "2026-11-10T08:00:00Z"
SAID = [{"role": "user", "content": "What is a lens?"}, {"role": "assistant", "content": "A curved glass."}]


def only_row(tmp_path, value, **settings):
    (found,) = read_week(write_lines(tmp_path / "a.jsonl", [value]), **settings)
    assert found["reason"] is None, found
    return found


def test_wildchat(tmp_path):
    value = {"conversation_hash": "h", "hashed_ip": "ip", "timestamp": TIME, "language": "English", "model": "m",
             "conversation": [{"role": "user", "content": "What is a lens?", "toxic": False}, MESSAGES[1]]}  # fmt: skip
    found = only_row(tmp_path, value, format="wildchat")
    assert (found["conversation_id"], found["user_id"], found["language"]) == ("h", "ip", "English")
    assert found["messages"] == SAID
    assert json.loads(found["extra"]) == {"model": "m"}


def test_lmsys_with_the_time_of_its_sister_data_set(tmp_path):
    value = {"conversation_id": "c", "conversation": MESSAGES, "tstamp": 1794297600.5, "turn": 1}
    found = only_row(tmp_path, value, format="lmsys")
    assert found["started_at"].isoformat() == "2026-11-10T08:00:00.500000+00:00"
    assert json.loads(found["extra"]) == {"turn": 1}


def test_sharegpt_with_a_time_column_of_ones_own(tmp_path):
    value = {
        "id": "c",
        "at": TIME,
        "conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yes"}],
    }
    found = only_row(tmp_path, value, format="sharegpt", columns={"at": "started_at"})
    assert found["messages"] == [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]
    assert found["extra"] is None


def export(**changes):
    def node(parent, message):
        return {"parent": parent, "children": [], "message": message}

    def message(role, *parts, **metadata):
        return {"author": {"role": role}, "content": {"content_type": "text", "parts": parts}, "metadata": metadata}

    mapping = {
        "root": node(None, None),
        "hidden": node("root", message("system", "be brief", is_visually_hidden_from_conversation=True)),
        "q": node("hidden", message("user", "What is a lens?", {"asset_pointer": "x"})),
        "old": node("q", message("assistant", "No idea.")),
        "new": node("q", message("assistant", "A curved glass.")),
    }
    return {
        "id": "c",
        "title": "Lenses",
        "create_time": 1794297600.0,
        "current_node": "new",
        "mapping": mapping,
    } | changes


def test_openai_export_follows_the_branch_that_the_user_last_saw(tmp_path):
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps([export()]))
    (found,) = read_week(path, format="openai-export")
    assert found["messages"] == SAID
    assert json.loads(found["extra"]) == {"title": "Lenses"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"current_node": "gone"}, "malformed_field"),
        ({"mapping": []}, "wrong_type"),
        ({"mapping": {"new": {"parent": "new", "message": None}}}, "malformed_field"),
        ({"mapping": {"new": {"parent": None, "message": {"author": 3, "content": 4}}}}, "missing_field"),
        ({"mapping": {"new": 7}}, "malformed_field"),
    ],
)
def test_a_broken_export_is_quarantined(tmp_path, changes, reason):
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps([export(**changes)]))
    assert reasons(read_week(path, format="openai-export")) == [reason]


def test_own_columns_win_over_the_contracts_names(tmp_path):
    value = row(started_at="2020-01-01", user_id=..., when=TIME, who=7)
    found = only_row(tmp_path, value, columns={"when": "started_at", "who": "user_id"})
    assert found["user_id"] == "7"
    assert json.loads(found["extra"]) == {"started_at": "2020-01-01"}


@pytest.mark.parametrize(
    ("columns", "message"),
    [({"a": "text"}, r"'a' to 'text'; choose from conversation_id"), ({"a": "user_id", "b": "user_id"}, "two columns")],
)
def test_a_wrong_mapping_is_an_error_with_the_mend(columns, message):
    with pytest.raises(SettingsError, match=message):
        own_names(SourceSettings(columns=columns))
