"""Real conversations beside the checkout: read where they lie, never copied, skipped with a reason where absent."""

from pathlib import Path

import pytest


def shared_file(relative: str) -> Path:
    """The path of a file of the shared data; skips the test that asks where it is absent."""
    for folder in Path(__file__).resolve().parents:
        candidate = folder / "shared" / "data" / relative
        if candidate.is_file():
            return candidate
    pytest.skip(f"shared/data/{relative} is not beside this checkout")
