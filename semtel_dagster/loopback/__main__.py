"""`python -m semtel_dagster.loopback`: one server process from the command line.

Prints one JSON line {"port": ..., "pid": ..., "admin_port": ...} when it listens, then serves until SIGTERM.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

import orjson
from pydantic import ValidationError

from semtel_dagster.loopback.script import Script
from semtel_dagster.loopback.server import Listening, Options, run


def main(arguments: list[str] | None = None) -> int:
    """Reads the script, serves; 2 if the script or an argument is wrong."""
    parser = argparse.ArgumentParser(prog="python -m semtel_dagster.loopback", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--script", default=None, help="a JSON file, or - for standard input; unset: an ideal server")
    parser.add_argument("--shared", action="store_true", help="let other processes listen on the same port")
    parser.add_argument("--certificate", type=Path, help="PEM file: serve TLS")
    parser.add_argument("--key", type=Path, help="PEM file of the certificate's key")
    parser.add_argument(
        "--lifeline", action="store_true", help="the script is standard input's first line; end with it"
    )
    given = parser.parse_args(arguments)
    if (given.certificate is None) != (given.key is None):
        parser.error("--certificate and --key go together")
    try:
        script = Script.model_validate_json(_read(given.script, given.lifeline))
    except (OSError, ValidationError) as error:
        sys.stderr.write(f"the script is wrong: {error}\n")
        return 2
    certificate = (given.certificate, given.key) if given.certificate else None
    run(script, Options(given.port, given.shared, certificate, given.lifeline), _announce)
    return 0


def _read(source: str | None, lifeline: bool) -> str:
    if lifeline:
        return sys.stdin.readline()
    if source is None:
        return "{}"
    return sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")


def _announce(listening: Listening) -> None:
    sys.stdout.write(orjson.dumps(dataclasses.asdict(listening)).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
