"""The house rules, as tests."""

import ast
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE = sorted(p for d in ("xnovu", "pipelines", "local") for p in (ROOT / d).rglob("*.py"))
MAX_FILE, MAX_FUNCTION = 300, 40
FORBIDDEN = ("utils", "common", "manager", "helpers")


def functions(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(node) -> int:
    """Lines of code after the docstring."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (node.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_floors_hold():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", CODE, ids=lambda p: str(p.relative_to(ROOT)))
def test_small_enough_to_read(path: Path):
    assert path.read_text().count("\n") <= MAX_FILE
    assert path.stem not in FORBIDDEN
    for node in functions(path):
        assert body_lines(node) < MAX_FUNCTION, node.name


def test_most_functions_are_a_few_lines():
    lengths = [body_lines(node) for path in CODE for node in functions(path)]
    assert statistics.median(lengths) <= 6
    assert statistics.quantiles(lengths, n=10)[-1] <= 20


def test_the_two_distributions_agree():
    """They have one version, and what the stand-ins need is what this repository installs."""
    ours, theirs = (project(ROOT), project(ROOT / "local"))
    declared = {*ours["project"]["dependencies"], *ours["dependency-groups"]["embedded"]}
    for each in ours["project"]["optional-dependencies"].values():
        declared |= {*each}
    version = ours["project"]["version"]
    assert theirs["project"]["version"] == version
    assert {*theirs["project"]["dependencies"]} - declared == {f"xnovu[all]=={version}"}


def project(folder: Path):
    return tomllib.loads((folder / "pyproject.toml").read_text())
