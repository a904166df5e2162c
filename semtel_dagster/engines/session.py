"""The Spark session of an environment, made from the settings through dagster-pyspark.

Belongs here: defaults, shorthands, and telling what is missing. What runs in a session belongs in `spark`.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from semtel_dagster.errors import DependencyError, SettingsError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

INSTALL = "pip install 'semtel-dagster[spark]'"
SHORTHANDS = {"master": "spark.master", "remote": "spark.remote"}

EVERYWHERE = {
    "spark.sql.session.timeZone": "UTC",  # frame logic cuts weeks and days by it
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "4096",
}
OWN_DRIVER = {
    "spark.app.name": "semtel_dagster",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}
ONE_MACHINE = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": str(2 * (os.cpu_count() or 1)),
}


def spark_config(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The session's configuration: the settings over the defaults, shorthands written out, nesting flattened.

    Without a master and a remote it is `local[*]`, or what the variable SPARK_REMOTE names. A remote session gets
    only what a client may set: the server has its own.

    Args:
        settings: The section `spark` of the settings, e.g. {"master": "local[4]", "spark.executor.memory": "4g"}.

    Raises:
        SettingsError: A key is no spark.* setting, or both a master and a remote are set.
    """
    given = {SHORTHANDS.get(key, key): value for key, value in _flat(settings)}
    strangers = sorted(key for key in given if not key.startswith("spark."))
    if strangers:
        known = ", ".join(SHORTHANDS)
        raise SettingsError(f"spark: {', '.join(strangers)} is no Spark setting; write spark.* keys, or {known}")
    if "spark.master" in given and "spark.remote" in given:
        raise SettingsError("spark: master and remote exclude each other; keep one")
    if "spark.remote" in given or ("spark.master" not in given and os.environ.get("SPARK_REMOTE")):
        return EVERYWHERE | given
    master = {"spark.master": given.get("spark.master", "local[*]")}
    one_machine = ONE_MACHINE if is_one_machine(master["spark.master"]) else {}
    return EVERYWHERE | OWN_DRIVER | one_machine | master | given


def is_one_machine(master: str) -> bool:
    """Whether the master runs its executors on this machine: in this process, or behind a loopback address."""
    return master.startswith(("local", "spark://127.0.0.1", "spark://localhost"))


@dataclass(frozen=True)
class SparkSessions:
    """Gives the session that the settings describe; starts or finds it at the first call.

    Attributes:
        settings: The section `spark` of the settings.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        spark_config(self.settings)  # a wrong setting is told when definitions load, not when the first step runs

    def __call__(self) -> SparkSession:
        """The session.

        Raises:
            DependencyError: pyspark, dagster-pyspark, the Connect client or Java is missing.
        """
        try:
            session: SparkSession = self._resource.spark_session
        except ImportError as error:
            raise DependencyError(f"the Spark engine needs a package that is missing ({error}); {INSTALL}") from None
        except Exception as error:
            if "JAVA_GATEWAY_EXITED" in str(error):
                raise DependencyError("Java did not start Spark; install Java 17 or newer, or set JAVA_HOME") from error
            raise
        return session

    @cached_property
    def _resource(self) -> Any:
        from dagster_pyspark import LazyPySparkResource

        config = spark_config(self.settings)
        if "spark.master" in config:
            _require_java()
            _prepare_environment(config)
        return LazyPySparkResource(spark_config=config)


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    if not shutil.which(os.path.join(home, "bin", "java") if home else "java"):
        where = f"in JAVA_HOME ({home})" if home else "on the PATH, and JAVA_HOME is not set"
        raise DependencyError(f"the Spark engine needs Java 17 or newer: there is no java {where}")


def _prepare_environment(config: Mapping[str, Any]) -> None:
    """Sets what Spark takes from the environment only: the Python of the tasks, and the address to listen on."""
    here = is_one_machine(str(config["spark.master"]))
    wanted = {
        "PYSPARK_PYTHON": config.get("spark.pyspark.python", sys.executable if here else None),
        "SPARK_LOCAL_IP": "127.0.0.1" if here else None,
    }
    for name, value in wanted.items():
        if value is not None:
            os.environ.setdefault(name, str(value))


def _flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in settings.items():
        pairs += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
    return pairs
