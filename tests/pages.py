"""Snippets of the documentation, run as they stand there."""

import re
import sys
from pathlib import Path
from types import ModuleType

DOCS = Path(__file__).parents[1] / "docs"


def snippets(page: str, language: str = "python") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def module(name: str, source: str) -> ModuleType:
    """A module of this source, that can be imported by its name."""
    made = sys.modules[name] = ModuleType(name)
    exec(compile(source, name, "exec"), made.__dict__)
    return made
