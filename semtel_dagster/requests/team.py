"""Who else works on the same endpoints: processes find each other in a folder that all of them see.

Belongs here: coming, going, and telling each other what one takes the limits to be. Which team a process belongs to is
in `meeting`, what follows from it in `sharing`.

A member keeps a file there while it has rows to ask about, and writes it anew once in a while; when it has none left it
takes the file away. One that died does not write any more. Where processes do not see one folder they never find each
other, and each goes on with what it was told at first.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import time

HERE, GONE = ".here", ".gone"
BEAT_S = 1.0
MEMBERS_PER_BEAT_S = 20  # of many members each looks less often
MOST_READ = 16
DEAD_S = 20.0
DEAD_BEATS = 5.0
FORGOTTEN_S = 172_800.0
FOLDER = ".teams"


@dataclass(frozen=True)
class Team:
    """Processes that share endpoints.

    Attributes:
        folder: Where they meet.
        tasks: How many there will be, as the tasks of one step are; None: whoever comes.
    """

    folder: str
    tasks: int | None = None

    @classmethod
    def new(cls, journal: str, tasks: int) -> Team:
        """A team that nobody else has, beside a journal."""
        return cls(str(Path(journal) / FOLDER / secrets.token_hex(8)), tasks)


@dataclass(frozen=True)
class View:
    """What a member sees of its team.

    Attributes:
        complete: Whether everybody who is expected has come, and maybe gone.
        working: Members that are there now, this one too.
        told: What some of the others told last.
    """

    complete: bool
    working: int
    told: tuple[tuple[float, ...], ...] = ()


class Member:
    """One process in its team. Nothing here fails: one that cannot see the folder is alone with what it knows."""

    def __init__(self, team: Team) -> None:
        """Comes, unless the folder cannot be made."""
        self._tasks = team.tasks
        self._folder = Path(team.folder)
        self._file = self._folder / f"{os.getpid()}-{secrets.token_hex(6)}{HERE}"
        self._working = 1
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file.write_text("[]", encoding="ascii")
            _forget(self._folder)

    @property
    def beat_s(self) -> float:
        """How often a member tells that it is there, in seconds."""
        return max(BEAT_S, (self._tasks or self._working) / MEMBERS_PER_BEAT_S)

    def look(self, told: Sequence[float]) -> View:
        """Tells the others some numbers, and sees who is there and what they told."""
        try:
            self._tell(told)
            now = self._file.stat().st_mtime  # by the clock of the folder's machine, as the others' times
            dead_s = max(DEAD_S, DEAD_BEATS * self.beat_s)
            entries = [entry for entry in os.scandir(self._folder) if entry.name.endswith((HERE, GONE))]
            here = [entry for entry in entries if entry.name.endswith(HERE) and now - _time_of(entry) < dead_s]
        except OSError:
            return View(complete=False, working=1)
        others = [Path(entry.path) for entry in here if entry.name != self._file.name]
        self._working = len(others) + 1
        read = (_read(path, len(told)) for path in _some(others))
        return View(
            complete=len(entries) >= (self._tasks or 0),
            working=self._working,
            told=tuple(numbers for numbers in read if numbers is not None),
        )

    def leave(self) -> None:
        """Goes; of a team that is counted the last one tidies up. May be called again."""
        with suppress(OSError):
            if self._tasks is None:
                self._file.unlink()
                return
            self._file.rename(self._file.with_suffix(GONE))
            names = os.listdir(self._folder)
            if len(names) >= self._tasks and not any(name.endswith(HERE) for name in names):
                shutil.rmtree(self._folder, ignore_errors=True)

    def _tell(self, numbers: Sequence[float]) -> None:
        # Written over, never cut short first: whoever reads meanwhile finds a whole line.
        line = json.dumps(list(numbers)).ljust(32 * len(numbers) + 2)
        file = os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(file, line.encode(), 0)
        finally:
            os.close(file)


def _forget(folder: Path) -> None:
    """Removes what killed runs have left, in this team's folder and of other teams."""
    for entry in os.scandir(folder):
        if _is_old(entry):
            Path(entry.path).unlink(missing_ok=True)
    for team in os.scandir(folder.parent):
        if _is_old(team) and not [entry for entry in os.scandir(team) if not _is_old(entry)]:
            shutil.rmtree(team, ignore_errors=True)


def _is_old(entry: os.DirEntry[str]) -> bool:
    return time() - _time_of(entry) > FORGOTTEN_S


def _some(paths: list[Path]) -> list[Path]:
    return paths if len(paths) <= MOST_READ else secrets.SystemRandom().sample(paths, MOST_READ)


def _time_of(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:  # it has gone since the folder was listed
        return 0.0


def _read(path: Path, count: int) -> tuple[float, ...] | None:
    """What a member told; None where that cannot be read."""
    try:
        numbers = tuple(map(float, json.loads(path.read_bytes())))
    except (OSError, ValueError, TypeError):
        return None
    return numbers if len(numbers) == count else None
