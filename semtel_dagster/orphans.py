"""Runs of this package's commands whose process died before it could say so: ended for it, so that nobody waits.

A run that was killed stays "started" for ever, and keeps its slot of the pool `llm`: the next launch would wait for it
without end. Dagster's daemon looks after runs that it launched; `semtel run` and `semtel backfill` run steps in their
own process, without a daemon. Belongs here: telling and ending such runs. What is asked again, the journal says.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

import dagster as dg

TAG = "semtel/process"
ENDED = "its process ended before the run did; what was answered is kept, and the next launch goes on from there"
_RUNNING = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def process_tags() -> Mapping[str, str]:
    """The tag by which a run names the process that it lives in."""
    return {TAG: f"{platform.node()} {os.getpid()} {_started(os.getpid())}"}


def end_orphans(instance: dg.DagsterInstance) -> list[str]:
    """Ends the runs of this machine's dead processes and frees what they hold.

    Returns:
        Their ids.
    """
    running = instance.get_runs(dg.RunsFilter(statuses=_RUNNING))
    orphans = [run for run in running if TAG in run.tags and _is_gone(run.tags[TAG])]
    for run in orphans:
        instance.report_run_failed(run, ENDED)
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in orphans]


def _is_gone(process: str) -> bool:
    """Whether a process is not there any more; one of another machine may be."""
    host, pid, started = process.rsplit(" ", 2)
    if host != platform.node():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _started(int(pid)) != started


def _started(pid: int) -> str:
    """When a process started, since its number is given again; empty where the system does not tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
