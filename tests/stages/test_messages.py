"""Transcripts by the column are those of `transcript.render`."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.stages.messages import transcripts_of, turns_of
from semtel_dagster.tables import SAMPLED_CONVERSATIONS
from semtel_dagster.transcript import ROLES, Turn, render

SEPARATORS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
CONTROLS = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))
contents = st.lists(st.one_of(st.text(max_size=5), st.sampled_from(SEPARATORS + CONTROLS), st.just("\r\n"))).map(
    "".join
)
conversations = st.lists(st.lists(st.builds(Turn, st.sampled_from(ROLES), contents), max_size=4), max_size=4)


def column(rows):
    kind = SAMPLED_CONVERSATIONS.field("messages").type
    return pa.array([[{"role": turn.role, "content": turn.content} for turn in turns] for turns in rows], kind)


@given(conversations)
@settings(max_examples=300, deadline=None)
def test_transcripts_by_the_column_are_those_by_the_turn(rows):
    assert transcripts_of(column(rows)) == [render(turns) for turns in rows]


@given(conversations)
@settings(deadline=None)
def test_turns_come_back(rows):
    assert turns_of(column(rows)) == rows


def test_every_separator_and_every_control_is_written_as_by_the_turn():
    rows = [[Turn("user", f"a{each}b{each}")] for each in SEPARATORS + CONTROLS]
    assert transcripts_of(column(rows)) == [render(turns) for turns in rows]


def test_a_slice_and_a_row_without_messages_are_read():
    rows = [[Turn("user", "one")], [], [Turn("user", "two"), Turn("assistant", "three")]]
    assert transcripts_of(column(rows).slice(1)) == [render(turns) for turns in rows[1:]]
    missing = pa.array([None], column(rows).type)
    assert (transcripts_of(missing), turns_of(missing)) == ([""], [[]])


def test_an_unknown_role_is_refused():
    with pytest.raises(ValueError, match="the role must be one of user"):
        transcripts_of(column([[Turn("robot", "hello")]]))
