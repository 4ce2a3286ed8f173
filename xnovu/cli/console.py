"""Where commands print: results to standard output, everything else to standard error."""

from rich.console import Console
from rich.text import Text

out = Console(highlight=False, soft_wrap=True, markup=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)

COLORS = {
    "PENDING": "yellow",
    "PROCESSING": "cyan",
    "SENT": "green",
    "FAILED": "red",
    "RETRACTED": "magenta",
}
"""How each status is shown."""


def colored(status: str) -> Text:
    """A status in its color."""
    return Text(status, COLORS.get(status, ""))
