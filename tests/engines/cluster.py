"""Real Spark processes on loopback, from the installed pyspark: what starts here is stopped here, and nothing else."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
START_S = 120


def environment() -> dict[str, str]:
    """Variables of Spark processes whose tasks run in this Python and can import the project and its tests."""
    import pyspark

    return {
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(CHECKOUT),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


@dataclass(frozen=True)
class Cluster:
    """A standalone cluster that runs on loopback.

    Attributes:
        master: The master's address.
        workers: A process per worker; its executors and their Python are in the same process group.
    """

    master: str
    workers: tuple[subprocess.Popen[bytes], ...]

    def kill(self, worker: int) -> None:
        """Ends a worker with all it runs by SIGKILL, as when its machine goes: nobody gets to say goodbye."""
        os.killpg(self.workers[worker].pid, signal.SIGKILL)


@contextmanager
def standalone(folder: Path, workers: int = 2, cores: int = 1) -> Iterator[Cluster]:
    """A master and its workers of some cores each, as processes."""
    port = free_port()
    master = f"spark://127.0.0.1:{port}"
    deploy = "org.apache.spark.deploy"
    with ExitStack() as running:
        at = ["--host", "127.0.0.1", "--webui-port", "0"]
        running.enter_context(
            _process(folder, "master", "spark-class", f"{deploy}.master.Master", *at, "--port", str(port))
        )
        _wait_for(port)
        started = []
        for number in range(workers):
            name, place = f"worker-{number}", str(folder / f"work-{number}")
            size = ["-c", str(cores), "-m", "1g", "--work-dir", place]
            worker = _process(folder, name, "spark-class", f"{deploy}.worker.Worker", *at, *size, master)
            started.append(running.enter_context(worker))
        yield Cluster(master, tuple(started))


@contextmanager
def connect_server(folder: Path) -> Iterator[str]:
    """A Spark Connect server with a local Spark of two cores, as a process; yields its address."""
    port = free_port()
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": "4",
        "spark.ui.enabled": "false",
    }
    given = [text for key, value in settings.items() for text in ("--conf", f"{key}={value}")]
    server = ["--master", "local[2]", "--class", "org.apache.spark.sql.connect.service.SparkConnectServer"]
    with _process(folder, "connect", "spark-submit", *server, *given, "spark-internal"):
        _wait_for(port)
        yield f"sc://127.0.0.1:{port}"


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _process(folder: Path, name: str, program: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program of pyspark in a process group of its own, which is ended with all that it started."""
    variables = environment()
    command = [f"{variables['SPARK_HOME']}/bin/{program}", *arguments]
    with (folder / f"{name}.log").open("wb") as log:
        started = subprocess.Popen(
            command,
            env=os.environ | variables,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        yield started
    finally:
        for each in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(started.pid, each)
            with suppress(subprocess.TimeoutExpired):
                started.wait(15)


def _wait_for(port: int) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.2)
    raise TimeoutError(f"nothing listens on port {port} after {START_S} s; see the logs beside the cluster's folder")
