"""Which messages there have been, in bounded memory."""


class Ids:
    """The latest ``remembered`` ids of messages that were published."""

    def __init__(self, remembered: int) -> None:
        self._remembered = remembered
        self._known: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._known)

    def is_new(self, name: str) -> bool:
        """Whether it was not there, and takes note that it is now."""
        if name in self._known:
            return False
        self._known[name] = None
        if len(self._known) > self._remembered:
            del self._known[next(iter(self._known))]
        return True
