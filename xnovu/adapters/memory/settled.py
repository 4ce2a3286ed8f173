"""Which messages there have been, in bounded memory."""

from collections import deque


class Ids:
    """All that are not settled in every mailbox, and the latest ``remembered`` that are."""

    def __init__(self, remembered: int) -> None:
        self._remembered = remembered
        self._open: dict[str, int] = {}
        self._known: set[str] = set()
        self._latest: deque[str] = deque()

    def __contains__(self, name: str) -> bool:
        return name in self._open or name in self._known

    def __len__(self) -> int:
        return len(self._open) + len(self._latest)

    def published(self, name: str, copies: int) -> None:
        """So many mailboxes have it now."""
        if copies:
            self._open[name] = copies
        else:
            self._remember(name)

    def settled(self, name: str) -> None:
        """One mailbox more is done with it; ids that were never published are nobody's."""
        copies = self._open.pop(name, 0)
        if copies > 1:
            self._open[name] = copies - 1
        elif copies:
            self._remember(name)

    def _remember(self, name: str) -> None:
        self._known.add(name)
        self._latest.append(name)
        if len(self._latest) > self._remembered:
            self._known.remove(self._latest.popleft())
