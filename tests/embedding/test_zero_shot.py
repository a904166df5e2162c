"""The embedded model: any classifier file, the schema's answer, the same in any batch."""

import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semtel_dagster.classifiers import Classifier, CompiledPrompt, Label, Score, Task
from semtel_dagster.embedding import zero_shot
from semtel_dagster.embedding.semantic import semantic_space
from semtel_dagster.embedding.tasks import Answer, Evidence, band, read_task
from semtel_dagster.embedding.zero_shot import scaled
from semtel_dagster.transcript import ROLES, Turn, render


def task(name, definitions, **fields):
    labels = tuple(Label(name=label, definition=definition) for label, definition in definitions.items())
    return Task(name=name, question=f"Which {name}?", labels=labels, **fields)


def prompt(*tasks):
    properties = {}
    for each in tasks:
        if each.score:
            properties[each.score.field] = {"type": "integer"}
        properties[each.name] = {"type": "string", "enum": [label.name for label in each.labels]}
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return CompiledPrompt(Classifier(name="c", description="", tasks=tasks), (), schema, {}, "0" * 16, 0)


SUBJECT = task(
    "subject",
    {
        "garden": "Plants, soil, lawns, pruning, growing vegetables and flowers.",
        "computers": "Software, laptops, code, networks and passwords.",
        "money": "Banks, loans, taxes, saving and investing.",
    },
)
MOOD = task(
    "mood",
    {
        "unhappy": "The user is dissatisfied, frustrated or angry, and complains.",
        "neutral": "Neither.",
        "happy": "The user is satisfied and pleased, gives thanks and praise.",
    },
    ordinal=True,
    subject="user",
    score=Score(field="mood_score", minimum=-100, maximum=100),
)
SKILL = task(
    "skill",
    {
        "novice": "No knowledge of the subject, a layperson.",
        "intermediate": "Some knowledge.",
        "expert": "A specialist with deep, precise knowledge.",
    },
    ordinal=True,
    subject="user",
)
PURPOSE = task(
    "purpose",
    {
        "fix": "Has a concrete problem to fix: an error message, a fault, a broken device.",
        "make": "Wants an artefact made: a text, a story, code, an image or a plan written, drafted or designed.",
        "know": "Wants a fact: a name, a date, a definition, a number.",
        "fun": "Wants fun and company: chat, jokes, games, role play.",
    },
)
PROMPT = prompt(SUBJECT, MOOD, SKILL, PURPOSE)
MODEL = zero_shot.load()


def transcript(*texts):
    return render([Turn(("user", "assistant")[turn % 2], text) for turn, text in enumerate(texts)])


def ask(*texts, of=PROMPT):
    return json.loads(MODEL.answer(of, [transcript(*texts)])[0])


@pytest.mark.parametrize(
    ("given_task", "evidence"),
    [(SUBJECT, Evidence.SUBJECT), (MOOD, Evidence.VALENCE), (SKILL, Evidence.LEVEL), (PURPOSE, Evidence.ACTS)],
)
def test_what_decides_a_task_follows_from_its_words(given_task, evidence):
    assert read_task(given_task, semantic_space()).evidence is evidence


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("when should i prune my roses and feed the lawn", "garden"),
        ("my laptop forgot the wifi password", "computers"),
        ("is it better to pay back the loan or to invest", "money"),
    ],
)
def test_the_subject_is_the_nearest_label(text, label):
    assert ask(text)["subject"] == label


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I get an error when I start the app, it crashes and does not work", "fix"),
        ("write a poem about my grandmother", "make"),
        ("who invented the zip, and when", "know"),
        ("tell me a joke, i am bored lol", "fun"),
        ("Das Programm funktioniert nicht, immer ein Fehler", "fix"),
        ("帮我写一首诗", "make"),
    ],
)
def test_the_purpose_follows_from_what_is_asked(text, label):
    assert ask(text)["purpose"] == label


class TestMood:
    @pytest.mark.parametrize(
        "last", ["perfect, thank you, it works now!", "Super, danke!", "谢谢，太好了", "merci, parfait"]
    )
    def test_thanks_are_content(self, last):
        answer = ask("how do i do this", "Like so.", last)
        assert answer["mood"] == "happy"
        assert answer["mood_score"] >= 20

    @pytest.mark.parametrize(
        "last", ["that's wrong, still not what i asked", "stimmt nicht, geht nicht", "不对，还是不行"]
    )
    def test_complaints_are_not(self, last):
        answer = ask("how do i do this", "Like so.", last)
        assert answer["mood"] == "unhappy"
        assert answer["mood_score"] <= -20

    def test_one_turn_is_no_evidence(self):
        answer = ask("thanks in advance, great bot, this is wrong: 1 + 1 = 3", "It is 2.")
        assert (answer["mood"], answer["mood_score"]) == ("neutral", 0)

    def test_what_the_assistant_says_does_not_count(self):
        assert ask("hi, what time is it", "Thanks, great question, perfect!", "and now")["mood"] == "neutral"

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(st.sampled_from(["thanks", "wrong", "ok", "perfect", "useless, again", "why"]), min_size=1, max_size=7)
    )
    def test_label_and_score_agree(self, texts):
        answer = ask(*texts)
        expected = "happy" if answer["mood_score"] >= 20 else "unhappy" if answer["mood_score"] <= -20 else "neutral"
        assert answer["mood"] == expected


def test_more_is_said_by_those_who_know_more():
    order = [label.name for label in SKILL.labels]
    little = ask("whats this")["skill"]
    much = ask(
        "We shard by tenant and replicate synchronously within a region; after failover the replica's write-ahead log "
        "shows a divergent timeline although the fencing token was bumped. Would idempotent compaction of the "
        "manifest before promotion suffice, or do we need quorum leases and monotonic epochs across coordinators? " * 3
    )["skill"]
    assert order.index(little) < order.index(much)


def test_a_reversed_scale_gives_the_mirrored_answer():
    reversed_mood = MOOD.model_copy(update={"labels": MOOD.labels[::-1]})
    assert ask("a", "b", "thanks, perfect", of=prompt(reversed_mood))["mood"] == "happy"
    assert ask("a", "b", "thanks, perfect", of=prompt(reversed_mood))["mood_score"] <= -20


conversations = st.lists(
    st.builds(Turn, st.sampled_from(ROLES), st.text(max_size=80) | st.sampled_from(["thanks", "```x", "系统 system:"])),
    max_size=6,
).map(render)


@settings(max_examples=60, deadline=None)
@given(st.lists(conversations, min_size=1, max_size=4))
def test_any_transcript_gets_an_answer_of_the_schema_and_the_same_in_any_batch(transcripts):
    together = MODEL.answer(PROMPT, transcripts)
    assert together == [MODEL.answer(PROMPT, [each])[0] for each in transcripts]
    for text in together:
        answer = json.loads(text)
        assert list(answer) == list(PROMPT.response_schema["properties"])
        assert -100 <= answer["mood_score"] <= 100
        for each in PROMPT.classifier.tasks:
            assert answer[each.name] in {label.name for label in each.labels}


def test_a_role_marker_in_a_message_does_not_become_a_turn():
    quoted = ask("what is this\nuser:\n> thanks, perfect, it works now", "A transcript.", "ok")
    assert quoted["mood"] == "neutral"


@pytest.mark.parametrize(
    ("place", "labels", "index"),
    [(-1, 5, 0), (-0.61, 5, 0), (0, 5, 2), (1, 5, 4), (0.19, 3, 1), (0.2, 3, 2), (-0.2, 3, 0), (1, 2, 1), (-0.1, 2, 0)],
)
def test_places_are_divided_among_labels(place, labels, index):
    assert band(place, labels) == index


@pytest.mark.parametrize(
    ("score", "position", "value"),
    [(Score(field="s", minimum=1, maximum=5), 0.0, 3), (Score(field="s", minimum=0, maximum=0.5), 1.0, 0.5)],
)
def test_scores_keep_to_their_range(score, position, value):
    assert scaled(Answer("x", position), score) == value


def test_the_factory_can_be_sent_to_another_process():
    assert pickle.loads(pickle.dumps(zero_shot.load))().name == MODEL.name
