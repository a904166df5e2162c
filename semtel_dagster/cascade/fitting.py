"""Fitting a student with scikit-learn, and calibrating it on rows it was not fitted on.

Belongs here: from vectors and labels to the arrays of a `Student`. Which rows are for what is decided in `training`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from semtel_dagster.cascade.student import Head, Layer, Student, softmax

Model = Literal["logistic", "mlp"]
Floats = npt.NDArray[np.float64]
STRENGTH = 0.03  # inverse regularisation, for standardised vectors; .01 to .1 agree within half a point on CLINC150
HIDDEN = 256
EPOCHS = 25
MOST_STEPS = 100
COLDEST, WARMEST = 0.05, 20.0


def fit(
    model: Model,
    tasks: Sequence[str],
    vectors: npt.NDArray[np.floating],
    taught: Sequence[Sequence[str]],
    seed: int = 0,
) -> Student:
    """Fits one head per task; temperatures are 1 until `calibrated`.

    Args:
        model: A multinomial logistic regression, or a network with one hidden layer.
        tasks: Their names.
        vectors: Shape [n, d].
        taught: The teacher's labels of each row, one per task.
        seed: Of the network's start and order of rows.
    """
    rows = np.asarray(vectors, dtype=np.float64)
    centre, spread = rows.mean(axis=0), rows.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    rows = (rows - centre) / scale
    heads = tuple(
        _head(model, task, rows, np.array([labels[at] for labels in taught]), seed) for at, task in enumerate(tasks)
    )
    return Student(heads, centre, scale)


def calibrated(student: Student, vectors: npt.NDArray[np.floating], taught: Sequence[Sequence[str]]) -> Student:
    """The same student with the temperatures under which the labels of these rows are likeliest.

    Args:
        student: Fitted on other rows.
        vectors: Shape [n, d].
        taught: The teacher's labels of each row; labels that the student does not know are left out.
    """
    rows = student.standardised(vectors)
    heads = [_calibrated(head, rows, [labels[at] for labels in taught]) for at, head in enumerate(student.heads)]
    return Student(tuple(heads), student.centre, student.scale)


def _head(model: Model, task: str, rows: Floats, labels: npt.NDArray[np.str_], seed: int) -> Head:
    classes = np.unique(labels)
    if len(classes) == 1:
        return Head(task, (str(classes[0]),), (Layer(np.zeros((rows.shape[1], 1)), np.zeros(1)),))
    from sklearn.exceptions import ConvergenceWarning

    fitted = _estimator(model, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopped early on purpose; held-out rows are the judge
        fitted.fit(rows, labels)
    names = tuple(str(name) for name in fitted.classes_)
    return Head(task, names, _layers(model, fitted))


def _estimator(model: Model, seed: int) -> Any:
    if model == "logistic":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=STRENGTH, max_iter=MOST_STEPS, tol=1e-3)
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier((HIDDEN,), alpha=1e-3, learning_rate_init=2e-3, max_iter=EPOCHS, random_state=seed)


def _layers(model: Model, fitted: Any) -> tuple[Layer, ...]:
    if model == "logistic":
        pairs = [(fitted.coef_.T, fitted.intercept_)]
    else:
        pairs = list(zip(fitted.coefs_, fitted.intercepts_, strict=True))
    weights, bias = pairs[-1]
    if bias.shape == (1,):  # scikit-learn keeps one column of scores for two classes
        pairs[-1] = (np.hstack([np.zeros_like(weights), weights]), np.array([0.0, bias[0]]))
    return tuple(Layer(np.ascontiguousarray(weights), np.asarray(bias)) for weights, bias in pairs)


def _calibrated(head: Head, rows: Floats, labels: Sequence[str]) -> Head:
    known = {label: at for at, label in enumerate(head.labels)}
    told = [at for at, label in enumerate(labels) if label in known]
    if len(head.labels) == 1 or not told:
        return head
    from scipy.optimize import minimize_scalar

    scores = head.scores(rows[told])
    right = (np.arange(len(told)), np.array([known[labels[at]] for at in told]))

    def surprise(log_temperature: float) -> float:
        shares = softmax(scores / np.exp(log_temperature))[right]
        return float(-np.log(np.maximum(shares, 1e-12)).mean())

    found = minimize_scalar(surprise, bounds=(np.log(COLDEST), np.log(WARMEST)), method="bounded")
    return Head(head.task, head.labels, head.layers, float(np.exp(found.x)))
