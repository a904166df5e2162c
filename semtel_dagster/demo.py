"""The demo project: a folder with settings, conversations and gold labels, ready for `semtel run` and `dagster dev`.

The conversations and labels are our own, and lie under `evals/demo` (in a wheel: in the package's data).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import yaml

STORAGE = "data"
SETTINGS = {
    "storage": f"./{STORAGE}",
    "first_week": None,
    "source": {"path": "conversations/*.jsonl"},
    "gold": "gold/*.jsonl",
    # Written texts of nobody: small cells need no protection, and 42 conversations a week would show little else.
    "aggregate": {"min_conversations": 2, "min_users": 1},
    "endpoints": [{"name": "embedded", "kind": "embedded"}],
    "report": {"title": "Semantic telemetry: the demo"},
}


@dataclass(frozen=True)
class DemoProject:
    """Where the demo was written, and what is in it."""

    folder: Path
    settings_file: Path
    weeks: tuple[str, ...]
    conversations: int


def write_project(folder: Path) -> DemoProject:
    """Writes (or refreshes) the demo project; tables of an earlier demo run stay and are used again."""
    folder = folder.absolute()
    shipped = demo_data()
    for name in ("conversations", "gold"):
        shutil.copytree(shipped / name, folder / name, dirs_exist_ok=True)
    files_ = sorted((folder / "conversations").glob("*.jsonl"))
    weeks = tuple(path.stem for path in files_)
    settings_file = folder / "semtel.yaml"
    settings_file.write_text(yaml.safe_dump(SETTINGS | {"first_week": weeks[0]}, sort_keys=False), encoding="utf-8")
    # `dagster dev` reads .env and pyproject.toml of the folder it is started in.
    (folder / ".env").write_text(
        f"DAGSTER_HOME={folder / STORAGE / 'dagster'}\nSEMTEL_SETTINGS={settings_file}\n", encoding="utf-8"
    )
    (folder / "workspace.yaml").write_text(
        "load_from:\n  - python_module: semtel_dagster.definitions\n", encoding="utf-8"
    )
    conversations = sum(path.read_bytes().count(b"\n") for path in files_)
    return DemoProject(folder, settings_file, weeks, conversations)


def demo_data() -> Path:
    """The shipped demo set: the checkout's, else the wheel's."""
    package = Path(str(files("semtel_dagster")))
    checkout = package.parent / "evals" / "demo"
    return checkout if checkout.is_dir() else package / "_data" / "demo"
