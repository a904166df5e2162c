"""Progress on a terminal: one bar for the steps of a run, one for the conversations of the current step."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from semtel_dagster.requests.figures import Figures


class StepBars:
    """Shows how far a run is. On a terminal it is live; elsewhere each finished step is a line."""

    def __init__(self, console: Console, steps: int) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[figures]}", style="dim"),
            console=console,
            transient=True,
        )
        self._steps = self._progress.add_task("steps", total=steps, figures="")
        self._rows = self._progress.add_task("", total=None, visible=False, figures="")

    def __enter__(self) -> StepBars:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, title: str, error: str | None, *, finished: bool) -> None:
        """Names the step that begins, or counts the one that ended."""
        self._progress.update(self._rows, visible=False)
        if not finished:
            self._progress.update(self._steps, description=title)
            return
        self._progress.advance(self._steps)
        if error or not self._console.is_terminal:
            self._console.print(f"{'failed' if error else 'done  '} {title}", markup=False, highlight=False)

    def watch(self, partition: str, figures: Figures) -> None:
        """Shows a step's live figures: done, rate, in flight, refused, tokens, cost, time left."""
        del partition
        left = (figures.total - figures.done) / figures.rate if figures.total and figures.rate else None
        parts = [f"{figures.rate:,.0f}/s", f"{figures.in_flight:,} in flight"]
        if figures.refused:
            parts.append(f"{figures.refused:,} refused")
        if figures.kept_apart:
            parts.append(f"{figures.kept_apart:,} kept out of packs")
        if figures.disbelieved:
            parts.append(f"{figures.disbelieved:,} not believed in a pack")
        parts.append(f"{figures.input_tokens + figures.output_tokens:,} tokens")
        if figures.cost_usd:
            parts.append(f"${figures.cost_usd:,.2f}")
        if left is not None:
            parts.append(f"{left:,.0f} s left")
        self._progress.update(
            self._rows,
            visible=True,
            description="conversations",
            completed=figures.done,
            total=figures.total,
            figures=" · ".join(parts),
        )
