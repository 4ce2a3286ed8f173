"""
Ingest: every row that is due, and every retraction, leaves the database for the broker.

So does that a row has ended there.
"""

from collections.abc import Sequence

from xnovu.compose.kit import Kit
from xnovu.compose.part import Part
from xnovu.envelope import Envelope
from xnovu.events import Captured, RetractRequested, StatusChanged
from xnovu.policy import Done, Result


class Ingest:
    """The claim is already an event; carrying it over is the whole work."""

    name = "ingest"
    accepts = (Captured, RetractRequested, StatusChanged)

    async def handle(
        self, batch: Sequence[Envelope[Captured | RetractRequested | StatusChanged]]
    ) -> Sequence[Result]:
        return [Done.then(envelope.event) for envelope in batch]


async def build(_: Kit) -> Ingest:
    return Ingest()


part = Part(
    Ingest.name,
    Ingest.accepts,
    build,
    from_table=True,
    own=True,
    emits=(Captured, RetractRequested),
)
