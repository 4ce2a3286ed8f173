"""``python -m xnovu``."""

from xnovu.cli import main

main()
