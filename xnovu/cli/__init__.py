"""The command ``xnovu``."""

import logging
import sys

from xnovu.errors import XNovuError
from xnovu.extras import wanted


def main() -> None:
    """Run the command; what is wrong is said in one line, without a traceback."""
    # Every try of the pool's is a warning; a command says once, at the end, that none succeeded.
    logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())
    try:
        with wanted():
            from xnovu.cli.commands import cli

            cli()
    except XNovuError as error:
        sys.exit(f"xnovu: {error}")
    except OSError as error:  # of a file that was named, by whichever command
        if not error.filename:
            raise
        sys.exit(f"xnovu: {error.filename}: {error.strerror}")
