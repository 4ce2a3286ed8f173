"""What is wrong with a configuration: which setting, where it stands, and what was meant."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, Tag, ValidationError

from xnovu.compose.variables import did_you_mean, variable

Path_ = tuple[str, ...]
UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
"""What pydantic says of a name that a model, or a dataclass, does not have."""


def told(error: ValidationError, model: type[BaseModel], file: Path | None) -> str:
    """
    Each wrong setting, the variable or the file it stands in, and what is expected.

    Never its value: that may be a secret in the wrong place.
    """
    faults = [_fault(each, model, file) for each in error.errors(include_input=False)]
    return "\n  ".join(("the configuration is wrong:", *faults))


def every_setting(model: type[BaseModel]) -> Iterator[Path_]:
    """The path of each setting there may be, but for those under names of one's own."""
    yield from _paths(model, ())


def _fault(fault: Any, model: type[BaseModel], file: Path | None) -> str:
    tags, path = _without_tags(model, [str(step) for step in fault["loc"]])
    name, stands = ".".join(path), _place(path, file)
    if fault["type"] not in UNKNOWN:
        return f"{stands}: {name}: {fault['msg']}"
    where = f" where kind is {tags[0]}" if tags else ""
    known = [".".join(each) for each in _siblings(model, path, tags)]
    return f"{stands}: {name} is no setting{where}{did_you_mean(name, known)}"


def _place(path: Path_, file: Path | None) -> str:
    """The variable, if it is set: it goes before the file."""
    names = [variable(*path[:length]) for length in range(len(path), 0, -1)]
    upper = {name.upper(): name for name in os.environ}
    found = next((upper[name] for name in names if name in upper), None)
    return found or (str(file) if file else "the configuration")


def _without_tags(model: type[BaseModel], steps: list[str]) -> tuple[Path_, Path_]:
    """Pydantic puts the kind of what has several into the path; nobody has written that."""
    if len(steps) > 1 and steps[1] in _kinds(model, steps[0]):
        return (steps[1],), (steps[0], *steps[2:])
    return (), tuple(steps)


def _siblings(model: type[BaseModel], path: Path_, tags: Path_) -> Iterator[Path_]:
    """Settings that stand where this one was looked for."""
    options = _kinds(model, path[0])
    if len(path) > 1 and tags and tags[0] in options:
        yield from ((path[0], name) for name in options[tags[0]].model_fields)
        return
    for known in _paths(model, ()):
        yield known
        yield from (known[:length] for length in range(1, len(known)))
    if path[:-1]:
        yield from ((*path[:-1], name) for name in _policy_fields(path))


def _policy_fields(path: Path_) -> Iterator[str]:
    from xnovu.policy import Policy, Rule

    if path[0] in ("stages", "consumers"):
        yield from (each.name for each in fields(Rule if "rules" in path[2:-1] else Policy))


def _kinds(model: type[BaseModel], name: str) -> Mapping[str, type[BaseModel]]:
    """The models of a table that is of one of several kinds, by kind."""
    field = model.model_fields.get(name)
    members = [get_args(each) for each in get_args(field.annotation)] if field else []
    return {
        mark.tag: kind
        for kind, *marks in filter(None, members)
        for mark in marks
        if isinstance(mark, Tag) and _is_model(kind)
    }


def _paths(model: Any, at: Path_) -> Iterator[Path_]:
    if _is_model(model):
        for name, field in model.model_fields.items():
            kinds = _kinds(model, name).values()
            for inner in kinds or (field.annotation,):
                yield from _paths(inner, (*at, name))
    elif is_dataclass(model):
        yield from ((*at, each.name) for each in fields(model))
    else:
        yield at


def _is_model(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)
