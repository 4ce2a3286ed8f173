"""The send records in memory: what the database's functions make of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from xnovu.adapters.memory.records import Record
from xnovu.sending import Begun, SendTimes, Verdict

DIFFERS = Begun(Verdict.DIFFERS)


@dataclass(slots=True)
class SendRecord:
    """
    Who may be sending a row of one ``generation``: the holder of ``token``, ``until`` then.

    ``sends`` is False for a holder that may only look it up. Before him nobody had begun if
    ``doubt`` is None; else what a look-up does not find from then on was not sent by them.
    """

    generation: int
    token: str
    until: datetime
    sends: bool
    begun_at: datetime
    doubt: datetime | None = None

    def doubt_after(self, generation: int, settle: timedelta) -> datetime | None:
        """The doubt that the next holder inherits."""
        if self.generation != generation:
            return None
        since = [self.doubt, self.until + settle if self.sends else None]
        return max(filter(None, since), default=None)


@dataclass(slots=True)
class SendRecords:
    """All of them, by the row's id."""

    of: dict[int, SendRecord] = field(default_factory=dict[int, SendRecord])

    def begin(self, row: Record, token: str, now: datetime, times: SendTimes) -> Begun:
        """Take the record, if it is free, and say what its holder may do."""
        held = self.of.get(row.id)
        if held and held.until > now:
            return Begun(Verdict.BUSY, (held.until - now).total_seconds())
        doubt = held.doubt_after(row.generation, timedelta(seconds=times.settle)) if held else None
        left = max(0.0, (doubt - now).total_seconds()) if doubt else 0.0
        late = bool(row.expires_at and row.expires_at <= now)
        until = now + timedelta(seconds=times.lease)
        begun = held.begun_at if held and doubt else now
        self.of[row.id] = SendRecord(row.generation, token, until, not left, begun, doubt)
        if begun < now - timedelta(seconds=times.remembered):
            return Begun(Verdict.FORGOTTEN, left)
        if doubt:
            return Begun(Verdict.LATE_CHECK if late else Verdict.CHECK, left)
        return Begun(Verdict.LATE if late else Verdict.SEND)

    def end(self, ids: Iterable[int], token: str, now: datetime, *, unclear: bool) -> None:
        """Give up what the token holds; doubt from before stays."""
        for number, held in self._held(ids, token):
            held.until, held.sends = now, unclear
            if not (unclear or held.doubt):
                del self.of[number]

    def has_begun(self, row: Record) -> bool:
        """Whether somebody may have begun to send it."""
        held = self.of.get(row.id)
        return held is not None and held.generation == row.generation

    def shown_after(self, row: Record, now: datetime, times: SendTimes) -> float | None:
        """Seconds until all that was sent of a row surely shows; None: nobody has begun."""
        held = self.of.get(row.id)
        settle = timedelta(seconds=times.settle)
        doubt = held.doubt_after(row.generation, settle) if held else None
        if held and doubt:
            return max(0.0, (max(doubt, held.until) - now).total_seconds())
        return None

    def _held(self, ids: Iterable[int], token: str) -> Iterator[tuple[int, SendRecord]]:
        for number in ids:
            if (held := self.of.get(number)) and held.token == token:
                yield number, held
