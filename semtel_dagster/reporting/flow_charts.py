"""How labels moved between two prompts: as terminal tables, and as one page with a chart per task.

What moved is worked out elsewhere; here are looks only.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from semtel_dagster.reporting import wording
from semtel_dagster.reporting.charts import LIGHT, config, to_svg

MOST_ROWS = 12
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#20262e}}
h1{{font-size:1.4rem}}h2{{font-size:1.1rem;margin-top:2rem}}li{{margin:.2rem 0}}svg{{max-width:100%;height:auto}}
table{{border-collapse:collapse}}td,th{{padding:.15rem .8rem .15rem 0;text-align:left}}td.n{{text-align:right}}</style>
<h1>{title}</h1>
{body}
</html>
"""


def shares_table(task: Any) -> Table:
    """A task's shares under both prompts, the largest change first."""
    title = f"{task.task}: {wording.percent(task.unchanged)} of {task.conversations:,} kept their label"
    table = _table(title, ["label", "before", "after", "change"])
    for move in task.shares[:MOST_ROWS]:
        style = "bold yellow" if abs(move.change) >= 0.01 else "dim"
        table.add_row(
            Text(move.label), wording.percent(move.before), wording.percent(move.after),
            Text(wording.points(move.change), style=style),
        )  # fmt: skip
    return table


def flows_table(task: Any) -> Table:
    """The largest moves from one label to another."""
    table = _table(f"{task.task}: largest moves", ["from", "to", "conversations", "share"])
    for flow in [flow for flow in task.flows if flow.moved][:MOST_ROWS]:
        table.add_row(
            Text(flow.before), Text(flow.after), wording.number(flow.conversations), wording.percent(flow.share)
        )
    return table


def flows_page(title: str, changes: Sequence[str], tasks: Sequence[Any]) -> str:
    """A self-contained HTML page: what changed in the prompt, and per task a chart and a table of the moves."""
    parts = ["<ul>", *(f"<li>{escape(change)}</li>" for change in changes), "</ul>"]
    for task in tasks:
        parts.append(f"<h2>{escape(task.task)}</h2>")
        parts.append(
            f"<p>{wording.percent(task.unchanged)} of {task.conversations:,} conversations kept their label.</p>"
        )
        parts.append(to_svg(flow_chart(task), 760))
        parts.append("<table><tr><th>from</th><th>to</th><th>conversations</th><th>share</th></tr>")
        parts += [
            f"<tr><td>{escape(flow.before)}</td><td>{escape(flow.after)}</td><td class=n>{flow.conversations:,}</td>"
            f"<td class=n>{wording.percent(flow.share)}</td></tr>"
            for flow in task.flows
            if flow.moved
        ]
        parts.append("</table>")
    return _PAGE.format(title=escape(title), body="\n".join(parts))


def flow_chart(task: Any) -> dict[str, Any]:
    """From (rows) to (columns), coloured by the part of the row's conversations; what stayed is on the diagonal."""
    import altair as alt

    rows = {move.label: move.before for move in task.shares}
    order = [move.label for move in sorted(task.shares, key=lambda move: (-move.before, move.label))]
    values = [
        {
            "before": flow.before,
            "after": flow.after,
            "part": flow.share / rows[flow.before] if rows[flow.before] else 0.0,
            "text": f"{flow.conversations:,}",
        }
        for flow in task.flows
    ]
    axis = alt.Axis(labelLimit=170, ticks=False, domain=False)
    base = alt.Chart(alt.InlineData(values=values)).encode(
        y=alt.Y("before:N", sort=order, title="before", axis=axis),
        x=alt.X("after:N", sort=order, title="after", axis=alt.Axis(labelAngle=-40, labelLimit=170, ticks=False)),
    )
    scale = alt.Scale(domain=[0, 1], range=["#eef3f9", "#2f6db3"])
    cells = base.mark_rect().encode(color=alt.Color("part:Q", scale=scale, legend=None))
    dark = alt.condition("datum.part > 0.55", alt.value("#ffffff"), alt.value("#20262e"))
    text = base.mark_text(fontSize=10).encode(text="text:N", color=dark)
    spec: dict[str, Any] = (cells + text).properties(width="container", height={"step": 26}).to_dict(validate=False)
    spec.pop("$schema", None)
    spec["config"] = config(*LIGHT)
    return spec


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False,
        padding=(0, 1, 0, 0),
    )  # fmt: skip
    for column in columns:
        table.add_column(column, justify="right" if column in {"before", "after", "change", "conversations", "share"}
                         else "left", no_wrap=True)  # fmt: skip
    return table
