"""The command ``xnovu``."""

import sys

from xnovu.errors import XNovuError
from xnovu.local.errors import LocalServerError


def main() -> None:
    """Run the command; what is wrong is said in one line, without a traceback."""
    from xnovu.cli.commands import cli

    try:
        cli()
    except (XNovuError, LocalServerError) as error:
        sys.exit(f"xnovu: {error}")
