"""Who asks, and whether it is really to be done."""

import getpass
import os
import socket

from xnovu.cli.console import err


def operator(name: str | None = None) -> str:
    """Whose name the audit gets: as told, else the user and machine at which it was typed."""
    return name or f"{_user()}@{socket.gethostname()}"


def agreed(question: str, *, yes: bool) -> bool:
    """Ask on the terminal; without one, only ``--yes`` is a yes."""
    if yes:
        return True
    if not err.is_terminal:
        err.print("nothing was changed: this was a dry run; repeat it with --yes to do it")
        return False
    return err.input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return f"uid {os.getuid()}"
