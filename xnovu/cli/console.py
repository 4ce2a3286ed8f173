"""Where commands print: results to standard output, everything else to standard error."""

from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

COLORS = {
    "PENDING": "yellow",
    "PROCESSING": "cyan",
    "SENT": "green",
    "FAILED": "red",
    "RETRACTED": "magenta",
}
"""How each status is shown."""
