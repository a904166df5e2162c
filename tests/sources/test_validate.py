import datetime as dt
import decimal
import json

import pytest

from semtel_dagster.settings import SourceSettings
from semtel_dagster.sources.rules import Rejection
from semtel_dagster.sources.validate import Contract
from tests.sources.builders import MESSAGES, row

CONTRACT = Contract.of(SourceSettings())


def validated(**changes):
    values = row(**changes)
    return CONTRACT.row(1, values, CONTRACT.time(values))


def test_a_good_row_is_a_conversation():
    found = validated()
    assert (found.conversation_id, found.user_id, found.language, found.extra) == ("c1", "u1", "en", None)
    assert found.messages == [(message["role"], message["content"]) for message in MESSAGES]
    assert found.started_at == dt.datetime(2026, 11, 10, 8, tzinfo=dt.UTC)


@pytest.mark.parametrize("field", ["user_id", "language"])
@pytest.mark.parametrize("empty", [None, "", "  ", ...])
def test_user_and_language_may_be_absent(field, empty):
    assert getattr(validated(**{field: empty}), field) is None


def test_ids_may_be_whole_numbers():
    found = validated(conversation_id=12, user_id=0)
    assert (found.conversation_id, found.user_id) == ("12", "0")


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"conversation_id": None}, "missing_field", "conversation_id"),
        ({"conversation_id": " "}, "missing_field", "conversation_id"),
        ({"conversation_id": ...}, "missing_field", "conversation_id"),
        ({"conversation_id": 1.5}, "wrong_type", "conversation_id: number"),
        ({"conversation_id": True}, "wrong_type", "conversation_id: bool"),
        ({"conversation_id": "x" * 513}, "malformed_field", "conversation_id: 513 characters, 512 at most"),
        ({"user_id": ["u"]}, "wrong_type", "user_id: array"),
        ({"language": {"code": "en"}}, "wrong_type", "language: object"),
        ({"messages": ...}, "missing_field", "messages"),
        ({"messages": ""}, "missing_field", "messages"),
        ({"messages": "hello"}, "malformed_field", "messages: not_json"),
        ({"messages": "{}"}, "wrong_type", "messages: object"),
    ],
)
def test_a_broken_rule_names_the_field_and_its_fault(changes, reason, detail):
    with pytest.raises(Rejection) as caught:
        validated(**changes)
    assert (caught.value.reason, caught.value.detail) == (reason, detail)


def test_messages_may_stand_in_a_json_text():
    assert validated(messages=json.dumps(MESSAGES)).messages == validated().messages


def test_other_columns_become_one_json_object():
    found = validated(
        model="m",
        when=dt.date(2026, 1, 2),
        at=dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC),
        price=decimal.Decimal("1.10"),
        raw=b"\x01",
        took=dt.timedelta(seconds=2),
        nothing=None,
        tags=["a"],
    )
    assert json.loads(found.extra) == {
        "model": "m", "when": "2026-01-02", "at": "2026-01-02T03:00:00+00:00", "price": "1.10",
        "raw": "01", "took": 2.0, "nothing": None, "tags": ["a"],
    }  # fmt: skip


def test_other_columns_hold_whatever_json_can():
    found = validated(big=2**70, half="\ud800", nul="\x00")
    assert json.loads(found.extra) == {"big": 2**70, "half": "\ufffd", "nul": "\x00"}


def test_a_rejected_row_keeps_its_id_only_if_it_is_one():
    rejection = Rejection("no_user_message", "2 messages")
    assert CONTRACT.rejected(3, row(), rejection, undated=False).conversation_id == "c1"
    assert CONTRACT.rejected(3, row(conversation_id=[1]), rejection, undated=True).conversation_id is None
