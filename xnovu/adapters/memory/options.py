"""What an operator sets of the transport in memory."""

from typing import Literal

from xnovu.options import TransportOptions


class MemoryOptions(TransportOptions, frozen=True):
    """The ``[transport]`` table when ``kind = "memory"``: all stages in one process, no broker."""

    kind: Literal["memory"] = "memory"
