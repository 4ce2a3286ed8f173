"""Runs the local Novu alone."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from xnovu.cli.console import out
from xnovu.errors import ConfigurationError
from xnovu_local.novu import LocalNovuOptions, serve


async def serve_novu(host: str, port: int, rate: str | None, names: Sequence[str] = ()) -> None:
    """Serve until the process is told to stop."""
    changes: dict[str, Any] = {"rate": rate} if rate else {}
    try:
        options = LocalNovuOptions().changed(changes)
    except ValidationError as error:
        raise ConfigurationError(
            "--rate is free, pro, team, enterprise or a number of requests per second"
        ) from error
    out.print(f"local Novu: http://{host}:{port}  (the page is at /, any API key is let in)")
    try:
        await serve(options, host, port, names)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError(f"cannot listen on {host} port {port}: {reason}") from error
