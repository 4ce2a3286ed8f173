"""Apps as FastStream's command takes them: ``faststream run pipelines.trigger:app``."""

from collections.abc import Callable
from typing import Self

from faststream import FastStream


class App(FastStream):
    """An app that is its own factory, too: ``--factory`` makes no difference."""

    def __call__(self) -> Self:
        return self


def on_demand(make: Callable[[], App]) -> Callable[[str], App]:
    """
    A module's ``__getattr__`` that builds ``app`` when somebody asks for it.

    Whoever imports the module for its part reads no settings and builds no app.
    """

    def asked(name: str) -> App:
        if name != "app":
            raise AttributeError(f"there is no {name!r} here")
        return make()

    return asked
