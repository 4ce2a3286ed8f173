"""Writes the beginning of a project beside an installed XNovu."""

import sys
from importlib.resources import files
from keyword import iskeyword
from pathlib import Path
from string import Template

from xnovu.adapters.nats.topology import boxes_of
from xnovu.cli.console import out, print_json
from xnovu.cli.run import BESIDE, PARTS
from xnovu.errors import ConfigurationError
from xnovu.policy import Policy

FILES = {
    "module.py.txt": "$module.py",
    "test_module.py.txt": "test_$module.py",
    "pyproject.toml.txt": "pyproject.toml",
}
"""The templates, and what each is called when it is written."""

TAKEN = {*PARTS, *BESIDE, "all", "xnovu", *sys.stdlib_module_names}
"""What `xnovu run` takes for something else, or Python imports instead."""


def write_consumer(name: str, folder: Path | None, *, as_json: bool = False) -> None:
    """
    Write a consumer's module, its test and its project.

    Raises:
        ConfigurationError: the name will not do, or a file is there already.
    """
    words = {"name": name, "module": _module(name)}
    target = folder or Path(name)
    paths = {each: target / Template(path).substitute(words) for each, path in FILES.items()}
    if there := next((path for path in paths.values() if path.exists()), None):
        raise ConfigurationError(f"{there} is there already: nothing is written")
    target.mkdir(parents=True, exist_ok=True)
    templates = files("xnovu.cli") / "templates" / "consumer"
    for each, path in paths.items():
        path.write_text(Template((templates / each).read_text()).substitute(words))
        if not as_json:
            out.print(f"{path} written")
    if as_json:
        print_json({"written": [str(path) for path in paths.values()]})
    else:
        out.print(f"next: cd {target} && python -m pytest, then xnovu run {words['module']}")


def _module(name: str) -> str:
    """What the module and the function are called."""
    boxes_of(name, (), Policy())
    module = name.replace("-", "_").lower()
    if not module.isidentifier() or iskeyword(module) or module in TAKEN:
        raise ConfigurationError(f"{name!r} can be no consumer's name: try another one")
    return module
