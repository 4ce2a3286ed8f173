"""Dead letters as an operator asks for them."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from xnovu.archive import Archive, Kept, Selection
from xnovu.compose.operating import archives
from xnovu.compose.settings import Settings
from xnovu.envelope import decode
from xnovu.errors import Permanent
from xnovu.events import Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted(Selection):
    """Which dead letters: by number, or by stage, enterprise, error code and time; none: all."""

    kind: str = Rejected.kind
    numbers: tuple[int, ...] = ()
    code: str | None = None

    def told(self) -> dict[str, object]:
        """What was asked for, for the audit."""
        values = {name: value for name, value in asdict(self).items() if value}
        return {name: value for name, value in values.items() if name != "kind"}

    def includes(self, letter: "Letter") -> bool:
        """Whether the letter is meant, beyond what the stream itself can tell."""
        numbered = not self.numbers or letter.number in self.numbers
        return numbered and self.code in (None, letter.rejected.failure.code)


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter; ``number`` is its place in the stream, by which it can be named."""

    number: int
    at: datetime
    rejected: Rejected


@asynccontextmanager
async def archive(settings: Settings) -> AsyncGenerator[Archive]:
    """What these settings' transport keeps, for a visit."""
    async with archives(settings) as found:
        yield found.archive


async def letters(archive: Archive, wanted: Wanted, most: int | None = None) -> Sequence[Letter]:
    """Up to ``most`` of the wanted letters, the oldest first."""
    found: list[Letter] = []
    first = min(wanted.numbers, default=None)
    async with aclosing(archive.read(replace(wanted, first=first))) as reading:
        async for kept in reading:
            letter = _letter(kept)
            if letter and wanted.includes(letter):
                found.append(letter)
            if len(found) == (len(wanted.numbers) or most):
                break
    return found


def _letter(kept: Kept) -> Letter | None:
    """None for what somebody else has put there."""
    try:
        event = decode(kept.headers, kept.body, kept.address).event
    except Permanent:
        return None
    return Letter(kept.number, kept.at, event) if isinstance(event, Rejected) else None
