"""A provider that reaches nobody: it remembers what it was asked to send."""

from collections import Counter
from collections.abc import Container, Sequence

from xnovu.errors import Missing, Permanent, XNovuError
from xnovu.ports import Trigger
from xnovu.retraction import Recall, Recalled

_MAX_RECIPIENTS = 100


class MemoryProvider:
    """
    ``Provider`` in memory.

    ``accepted`` holds the calls made, by transaction id; ``asked`` counts how often each was
    wanted. ``refusals`` is the script: the answer for a notification while its id is in there.
    ``delayed`` and ``in_app`` are workflows whose calls can be cancelled, or taken back.
    """

    def __init__(self, delayed: Container[str] = (), in_app: Container[str] = ()) -> None:
        self.delayed, self.in_app = delayed, in_app
        self.accepted: dict[str, Trigger] = {}
        self.asked: Counter[str] = Counter()
        self.refusals: dict[int, XNovuError] = {}

    async def trigger(self, calls: Sequence[Trigger], until: float) -> Sequence[XNovuError | None]:
        del until
        return [self._made(call) for call in calls]

    async def cancel(self, calls: Sequence[Recall]) -> Sequence[Recalled | XNovuError]:
        return [self._recalled(call) for call in calls]

    def _recalled(self, call: Recall) -> Recalled | XNovuError:
        made = self.accepted.get(call.transaction_id)
        if not made:
            return Recalled()
        if refusal := self.refusals.get(made.notification.id):
            return refusal
        workflow = made.notification.workflow_key
        spared = workflow in self.delayed or workflow in self.in_app
        return Recalled(there=True, settled=True, sent=not spared, spared=spared)

    def _made(self, call: Trigger) -> XNovuError | None:
        self.asked[call.transaction_id] += 1
        if call.transaction_id in self.accepted:
            return None
        if not call.send:
            return Missing("it was not made")
        if len(call.recipients) > _MAX_RECIPIENTS:
            reason = f"{len(call.recipients)} recipients in one call"
            return Permanent(reason, code="too_many_recipients")
        if refusal := self.refusals.get(call.notification.id):
            return refusal
        self.accepted[call.transaction_id] = call
        return None
