"""Environments of peers under benchmarks/.envs: made when first needed, and again when a version changes.

Only the package installer's own index is asked. A peer that cannot be installed is left out of the table, with a note.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ENVIRONMENTS = Path(__file__).parent.parent / ".envs"
REQUIREMENTS = {
    "openai": ("openai[aiohttp]==3.54.0", "uvloop"),
    "lm_deluge": ("lm-deluge==0.0.168",),
    "flexllm": ("flexllm==0.17.10",),
    "curator": ("bespokelabs-curator==0.1.31",),
    "near_duplicates": ("hnswlib==0.8.0", "semhash==0.5.0"),
    "litellm": ("litellm==1.106.0",),
    "clients": (
        "aiohttp==3.14.5",
        "httpx2[http2]==2.16.2",
        "niquests==3.21.2",
        "pyqwest==0.12.0",
        "pyreqwest==0.15.1",
        "granian==2.*",  # serves HTTP/2
        "uvloop",
    ),
}


def python_of(name: str) -> Path:
    """The interpreter of a peer's environment, which is made if it is not there.

    Raises:
        subprocess.CalledProcessError: It cannot be installed.
    """
    folder = ENVIRONMENTS / name
    python, note = folder / "bin" / "python", folder / "requirements.txt"
    wanted = "\n".join(REQUIREMENTS[name])
    if note.is_file() and note.read_text() == wanted:
        return python
    print(f"making {folder}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS[name]]
    subprocess.run(install, check=True, capture_output=True)
    note.write_text(wanted)
    return python
