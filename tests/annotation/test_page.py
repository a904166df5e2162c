"""The annotation page in a real browser: the keyboard alone, a reload and a killed server lose nothing."""

import contextlib
import os
import re
import subprocess
import sys

import polars as pl
import pytest

from semtel_dagster.annotation.choosing import choose
from semtel_dagster.annotation.notebook import Notebook
from semtel_dagster.evaluation.golden import load_golden
from tests.annotation.test_annotation import prepared
from tests.pipeline import project
from tests.webserver import browser_page


@contextlib.contextmanager
def annotating(folder, port):
    """`semtel annotate` as a user starts it, and where its page is."""
    options = ["--sample", "3", "--annotator", "kim", "--to", "gold.jsonl", "--port", str(port), "--no-browser"]
    command = [sys.executable, "-m", "semtel_dagster", "annotate", "--settings", str(folder / "semtel.yaml"), *options]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SEMTEL_", "DAGSTER_"))}
    process = subprocess.Popen(command, cwd=folder, env=kept, stdout=subprocess.PIPE, text=True)
    try:
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, "the server did not start"
        yield process, found.group()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def said(folder):
    return [label.label for label in load_golden([str(folder / "gold.jsonl")]).labels]


def add_another_annotator_and_stored_labels(folder):
    """Lee agrees with kim on two of three cases; of those two the stored label is right in one."""
    first, _, second = (label.case for label in load_golden([str(folder / "gold.jsonl")]).labels)
    (third,) = {item.case for item in choose(str(folder / "data"), 3)} - {first, second}
    lees = {first: "information seeking", second: "learning", third: "leisure"}
    with Notebook(folder / "lee.jsonl", "lee") as notebook:
        for case, label in lees.items():
            notebook.write(case, "intent", label, 1.0)
    stored = folder / "data" / "labels" / "week=2026-10-05" / "classifier=intent"
    stored.mkdir(parents=True)
    rows = {"conversation_id": [first, second], "task": ["intent"] * 2, "label": ["information seeking", "leisure"]}
    pl.DataFrame(rows).write_parquet(stored / "part-0.parquet")


def counted(page, words):
    page.get_by_text(words).wait_for()


@pytest.mark.browser
@pytest.mark.slow
def test_keys_label_and_neither_a_reload_nor_a_kill_loses_one(tmp_path):
    project(tmp_path, [], storage=str(tmp_path / "data"))
    prepared(tmp_path / "data", 9)
    with browser_page() as page:
        with annotating(tmp_path, 0) as (process, url):
            page.goto(url)
            counted(page, "0 of 3, as kim")
            page.keyboard.press("1")
            counted(page, "1 of 3")
            page.reload()
            counted(page, "1 of 3")
            page.keyboard.press("2")
            counted(page, "2 of 3")
            page.keyboard.press("ArrowLeft")
            page.locator("li.given").wait_for()
            page.keyboard.press("3")
            page.locator("li.given").wait_for(state="detached")
            process.kill()
            process.wait()
            page.keyboard.press("4")
            page.get_by_text("nothing before this is lost").wait_for()
        assert said(tmp_path) == ["information seeking", "problem solving", "learning"]
        add_another_annotator_and_stored_labels(tmp_path)
        with annotating(tmp_path, 0) as (_, url):
            page.goto(url)
            counted(page, "2 of 3")
            page.keyboard.press("4")
            page.get_by_text("All labelled").wait_for()
            cells = page.locator("table tbody tr td").all_inner_texts()
        assert [cell.split(" (")[0] for cell in cells] == ["intent", "3", "kim, lee", "0.62", "2", "0.50", "0.33"]
        assert said(tmp_path) == ["information seeking", "problem solving", "learning", "content creation"]
