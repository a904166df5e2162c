"""The ways in which real models spoil an answer that should be one JSON object.

Each shape takes the valid answer and returns the text that is sent instead. Which of them a parser can mend is
the parser's business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _labels(value: Any, change: Callable[[str], Any]) -> Any:
    """The answer with every text in it changed."""
    if isinstance(value, dict):
        return {name: _labels(field, change) for name, field in value.items()}
    if isinstance(value, list):
        return [_labels(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def _first_label(value: Any) -> str:
    if isinstance(value, dict):
        return next((found for field in value.values() if (found := _first_label(field))), "")
    return value if isinstance(value, str) else ""


SHAPES: dict[str, Callable[[Any], str]] = {
    "fence": lambda value: f"```json\n{orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()}\n```",
    "prose_before": lambda value: f"Sure, this is my classification of the conversation:\n\n{_json(value)}",
    "prose_after": lambda value: f"{_json(value)}\n\nI chose this because of what the user asks first.",
    "thinking": lambda value: f"<think>\nThe user asks several things; {{maybe}} both fit.\n</think>\n{_json(value)}",
    "upper": lambda value: _json(_labels(value, str.upper)),
    "title": lambda value: _json(_labels(value, lambda label: label.replace("_", " ").title())),
    "padded": lambda value: _json(_labels(value, lambda label: f"  {label}. ")),
    "hyphens": lambda value: _json(_labels(value, lambda label: label.replace("_", "-").replace(" ", "-"))),
    "quoted_label": lambda value: _json(_labels(value, lambda label: f'"{label}"')),
    "explained": lambda value: _json(_labels(value, lambda label: f"{label} (the best fit)")),
    "listed": lambda value: _json(_labels(value, lambda label: [label])),
    "python": repr,
    "smart_quotes": lambda value: _json(value).replace('"', "\u201d"),
    "trailing_comma": lambda value: _json(value)[:-1] + ",}",
    "nested": lambda value: _json({"answer": value}),
    "other_key_case": lambda value: _json({name.title(): field for name, field in dict(value).items()}),
    "bare_label": _first_label,
    "key_colon_label": lambda value: f"Label: {_first_label(value)}",
    "twice": lambda value: f"{_json(value)}\n{_json(value)}",
    "unknown_label": lambda value: _json(_labels(value, lambda _: "None of the above")),
    "two_labels": lambda value: _json(_labels(value, lambda label: f"{label}, something else")),
    "cut_short": lambda value: _json(value)[: max(1, len(_json(value)) * 2 // 3)],
    "refusal": lambda _: "I'm sorry, but I can't help with that.",
    "empty": lambda _: "",
}


def soil(value: Any, at: float) -> str:
    """The answer in one of the SHAPES, chosen by `at` in [0, 1)."""
    shapes = list(SHAPES.values())
    shape = shapes[int(at * len(shapes))]
    return shape(value if isinstance(value, dict) else {"label": value})
