"""A provider that reaches nobody: it remembers what it was asked to send."""

from collections import Counter
from collections.abc import Sequence

from xnovu.errors import Permanent, XNovuError
from xnovu.ports import Trigger

_MAX_RECIPIENTS = 100


class MemoryProvider:
    """
    ``Provider`` in memory.

    ``accepted`` holds the calls made, by transaction id; ``asked`` counts how often each was
    wanted. ``refusals`` is the script: the answer for a notification while its id is in there.
    """

    def __init__(self) -> None:
        self.accepted: dict[str, Trigger] = {}
        self.asked: Counter[str] = Counter()
        self.refusals: dict[int, XNovuError] = {}

    async def trigger(self, calls: Sequence[Trigger]) -> Sequence[XNovuError | None]:
        return [self._made(call) for call in calls]

    def _made(self, call: Trigger) -> XNovuError | None:
        self.asked[call.transaction_id] += 1
        if call.transaction_id in self.accepted:
            return None
        if len(call.recipients) > _MAX_RECIPIENTS:
            reason = f"{len(call.recipients)} recipients in one call"
            return Permanent(reason, code="too_many_recipients")
        if refusal := self.refusals.get(call.notification.id):
            return refusal
        self.accepted[call.transaction_id] = call
        return None
