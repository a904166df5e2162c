"""Small classifiers for the tests of labels."""

from semtel_dagster.classifiers import Classifier, Label, Score, Task


def label(name: str, *aliases: str) -> Label:
    return Label(name=name, definition=f"What {name} means.", aliases=aliases)


def task(name: str, *labels: Label | str, ordinal: bool = False, score: Score | None = None) -> Task:
    made = tuple(label(given) if isinstance(given, str) else given for given in labels)
    return Task(name=name, question=f"Which {name}?", labels=made, ordinal=ordinal, score=score)


def classifier(*tasks: Task) -> Classifier:
    return Classifier(name="test", description="A classifier of a test.", tasks=tasks)


SCORE = Score(field="mood_score", minimum=-100, maximum=100)
TOPIC = task(
    "topic", label("programming", "coding", "code"), label("data and statistics", "data"), "food", "travel", "other"
)
LEVEL = task("level", "novice", label("intermediate", "medium"), "expert", ordinal=True)
MOOD = task("mood", label("dissatisfied", "not satisfied"), "neutral", "satisfied", ordinal=True, score=SCORE)
