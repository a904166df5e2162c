"""The rules of the house that no linter knows."""

import ast
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
MODULES = sorted([*CHECKOUT.glob("semtel_dagster/**/*.py"), *CHECKOUT.glob("assets/*.py")])


def functions(path):
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", sorted(CHECKOUT.glob("assets/*.py")), ids=lambda path: path.stem)
def test_an_asset_is_thirty_lines_or_fewer_and_decides_nothing(path):
    for outer in functions(path):
        for asset in [node for node in outer.body if isinstance(node, ast.FunctionDef)]:
            assert asset.end_lineno - asset.lineno + 1 <= 30, f"{asset.name} is too long"
            branches = [node for node in ast.walk(asset) if isinstance(node, (ast.If, ast.For, ast.While, ast.Try))]
            assert not branches, f"{asset.name} holds logic; move it to a stage"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_a_module_says_what_belongs_there(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_nothing_committed_names_a_path_of_a_machine_or_a_registry():
    """Paths like /home/someone do not belong in a project."""
    files = [
        *MODULES,
        *CHECKOUT.glob("*.md"),
        *CHECKOUT.glob("*.yaml"),
        *CHECKOUT.glob("*.toml"),
        *CHECKOUT.glob("prompts/*"),
    ]
    named = [path.name for path in files if re.search(r"/(home|root|work|Users)/\w+", path.read_text(encoding="utf-8"))]
    assert named == []
