"""The embedding cascade on CLINC150: what it answers, how often it agrees, and whether its promise holds.

    python benchmarks/cascade.py [--repeats 200] [--agreement 0.98] [--confidence 0.95] [--plot cascade.png]

23,700 one-line requests in 151 classes (150 intents and out of scope), embedded as the pipeline stores them. Three
teachers: people's labels standing in for a language model, the same wrong at random on one row in ten (a model whose
errors the text does not explain), and one wrong on whole intents (a model that confuses one in ten with its neighbour
always). Each student is trained on 9,000 rows drawn anew; the others are the population, so that the agreement of what
a threshold lets through is known without an error of its own. Each repeat draws 4,000 rows from the population to hold
out, with replacement, chooses the threshold from them, and counts as broken when the population's agreement from there
on is under the wanted one. Beside it: the same student with the wanted agreement as a fixed threshold on its
uncalibrated probability, and with the lowest threshold that reached the wanted agreement on the held-out rows,
without a bound.

Needs shared/data beside the checkout.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from semtel_dagster.cascade.fitting import Model, calibrated, fit
from semtel_dagster.cascade.guarantee import choose, grid
from semtel_dagster.cascade.student import Student
from semtel_dagster.embedding.embedded import EmbeddedProvider

FITTED, TUNED, HELD_OUT = 9_000, 1_000, 4_000
STUDENTS = {"logistic": 10, "mlp": 2}
NOISE = 0.1
TEACHERS = ("people", "people, 10 % wrong at random", "people, 10 % of intents confused")
RULES = ("guaranteed", "fixed threshold", "held-out rate, no bound")

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Names = npt.NDArray[np.str_]
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Judged:
    """A population as a student sees it: its confidences, calibrated and not, and what is right."""

    scores: Floats
    raw: Floats
    agrees: Bools
    right: Bools


@dataclass
class Outcome:
    """What a rule came to in all repeats."""

    coverage: list[float]
    agreement: list[float]
    right: list[float]
    mixed: list[float]
    broken: int = 0

    @classmethod
    def empty(cls) -> Outcome:
        return cls([], [], [], [])

    def add(self, judged: Judged, sure: Bools, teacher_right: float, wanted: float) -> None:
        """One repeat: the population's rows that the rule lets the student answer."""
        self.coverage.append(float(sure.mean()))
        if sure.any():
            self.agreement.append(float(judged.agrees[sure].mean()))
            self.right.append(float(judged.right[sure].mean()))
            self.broken += self.agreement[-1] < wanted
        self.mixed.append(float(np.where(sure, judged.right, teacher_right).mean()))


def requests() -> tuple[Vectors, Names]:
    path = next(
        (
            found
            for folder in Path(__file__).resolve().parents
            if (found := folder / "shared/data/clinc150/clinc150.jsonl.zst").is_file()
        ),
        None,
    )
    if path is None:
        raise SystemExit("shared/data/clinc150 is not beside this checkout")
    lines = pa.input_stream(str(path), compression="zstd").read().split(b"\n")
    rows = [json.loads(line) for line in lines if line]
    return EmbeddedProvider().embed([row["text"] for row in rows]), np.array([row["label"] for row in rows])


def taught(name: str, truth: Names, seed: int) -> Names:
    """What a teacher says."""
    rng, classes = np.random.default_rng(seed), np.unique(truth)
    if name == TEACHERS[1]:
        return np.where(rng.random(len(truth)) < NOISE, rng.choice(classes, size=len(truth)), truth)
    if name == TEACHERS[2]:
        confused = rng.permutation(len(classes))[: int(2 * NOISE * len(classes))].reshape(-1, 2)
        renamed = {classes[one]: classes[other] for one, other in confused}
        return np.array([renamed.get(label, label) for label in truth])
    return truth


def judge(student: Student, vectors: Vectors, said: Names, truth: Names) -> Judged:
    predicted = student.predict(vectors)
    names = np.array([name for (name,) in student.names(predicted.labels)])
    plain = replace(student, heads=tuple(replace(head, temperature=1.0) for head in student.heads))
    return Judged(predicted.scores, plain.predict(vectors).scores, names == said, names == truth)


def unbounded(scores: Floats, agrees: Bools, wanted: float) -> float:
    """The lowest threshold of the grid whose held-out rows agree often enough, as it is often done."""
    passing = [at for at in grid() if (scores >= at).any() and agrees[scores >= at].mean() >= wanted]
    return float(min(passing, default=np.inf))


def measure(model: Model, teacher: str, data: tuple[Vectors, Names], options: argparse.Namespace) -> dict[str, Outcome]:
    vectors, truth = data
    outcomes = {rule: Outcome.empty() for rule in RULES}
    students = min(STUDENTS[model], options.repeats)
    for number in range(students):
        rng = np.random.default_rng(1000 * number + options.seed)
        said, order = taught(teacher, truth, number), rng.permutation(len(truth))
        learn, tune, rest = np.split(order, [FITTED, FITTED + TUNED])
        student = fit(model, ("intent",), vectors[learn], [(label,) for label in said[learn]], number)
        student = calibrated(student, vectors[tune], [(label,) for label in said[tune]])
        judged = judge(student, vectors[rest], said[rest], truth[rest])
        teacher_right = float((said[rest] == truth[rest]).mean())
        for _ in range(len(range(number, options.repeats, students))):
            drawn = rng.integers(len(rest), size=HELD_OUT)
            bound = choose(judged.scores[drawn], judged.agrees[drawn], options.agreement, 1 - options.confidence)
            thresholds = {
                RULES[0]: (judged.scores, np.inf if bound.threshold is None else bound.threshold),
                RULES[1]: (judged.raw, options.agreement),
                RULES[2]: (judged.scores, unbounded(judged.scores[drawn], judged.agrees[drawn], options.agreement)),
            }
            for rule, (scores, threshold) in thresholds.items():
                outcomes[rule].add(judged, scores >= threshold, teacher_right, options.agreement)
    return outcomes


def show(found: dict[tuple[str, str], dict[str, Outcome]], options: argparse.Namespace) -> None:
    table = Table(
        title=f"Wanted: {options.agreement:.0%} agreement at {options.confidence:.0%} confidence, {options.repeats} "
        f"repeats: at most {options.repeats * (1 - options.confidence):.0f} broken"
    )
    for column in ("model", "teacher", "rule", "answered", "agreement", "lowest", "right", "with teacher", "broken"):
        table.add_column(column, justify="left" if column in {"model", "teacher", "rule"} else "right")
    for (model, teacher), outcomes in found.items():
        for rule, each in outcomes.items():
            agreement = each.agreement or [float("nan")]
            right = each.right or [float("nan")]
            figures = (np.mean(each.coverage), np.mean(agreement), min(agreement), np.mean(right), np.mean(each.mixed))
            cells = ["-" if np.isnan(figure) else f"{figure:.1%}" for figure in figures]
            table.add_row(model, teacher, rule, *cells, f"{each.broken} of {options.repeats}")
    Console(width=150).print(table)


def plot(found: dict[tuple[str, str], dict[str, Outcome]], options: argparse.Namespace) -> None:
    """Agreement against what is answered, a point per repeat."""
    import altair as alt
    import polars as pl

    points = [
        {"student": f"{model}, {teacher}", "rule": rule, "answered": answered, "agreement": agreement}
        for (model, teacher), outcomes in found.items()
        for rule, each in outcomes.items()
        for answered, agreement in zip([at for at in each.coverage if at], each.agreement, strict=True)
    ]
    data = pl.DataFrame(points)
    answered = alt.X("answered:Q", axis=alt.Axis(format="%"), title="answered by the student")
    agreement = alt.Y("agreement:Q", axis=alt.Axis(format="%"), scale=alt.Scale(zero=False), title="agreement")
    dots = alt.Chart(data).mark_circle(opacity=0.4).encode(answered, agreement, alt.Color("rule:N", sort=list(RULES)))
    line = alt.Chart(data).mark_rule(strokeDash=[4, 4]).encode(y=alt.datum(options.agreement))
    layers = alt.layer(dots, line, data=data).properties(width=260, height=200)
    layers.facet(alt.Facet("student:N", title=None), columns=3).save(options.plot, ppi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--agreement", type=float, default=0.98)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--noisy-agreement", type=float, default=0.86, help="what the teacher that errs can give")
    parser.add_argument("--models", nargs="+", choices=list(STUDENTS), default=list(STUDENTS))
    parser.add_argument("--plot", type=Path, default=Path("benchmarks/results/cascade.png"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = requests()
    found = {
        (model, teacher): measure(model, teacher, data, options) for model in options.models for teacher in TEACHERS
    }
    show(found, options)
    reachable = argparse.Namespace(**{**vars(options), "agreement": options.noisy_agreement})
    show({(options.models[0], TEACHERS[1]): measure(options.models[0], TEACHERS[1], data, reachable)}, reachable)
    options.plot.parent.mkdir(parents=True, exist_ok=True)
    plot(found, options)
    print(f"Each point of the plot: {options.plot}")


if __name__ == "__main__":
    main()
