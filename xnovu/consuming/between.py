"""The stage around a function of one's own between hydrate and trigger: what it may change."""

from dataclasses import dataclass, field
from typing import Any, TypeGuard, cast

from xnovu.consuming.stage import Consuming
from xnovu.envelope import Envelope
from xnovu.errors import Permanent
from xnovu.events import Hydrated, Notification, hydrated_by
from xnovu.payloads import RowOptions, check_bounds
from xnovu.policy import Done, Result

FREE = frozenset({"payload", "overrides"})
"""What it may change; the row confirms the rest when it is sent."""


@dataclass(frozen=True, slots=True)
class Between(Consuming):
    """A stage of one's own at work; what it returns keeps within the ``bounds`` of a row."""

    bounds: RowOptions = field(default_factory=RowOptions)

    def _given(self, envelope: Envelope[Any]) -> Notification:
        """A copy: what is held is given to the function again."""
        hydrated: Hydrated = envelope.event
        return hydrated.notification.model_copy(deep=True)

    def _done(self, envelope: Envelope[Any], returned: object) -> Result:
        hydrated: Hydrated = envelope.event
        if not _is_whole(returned):
            raise self._refusal("it returned no notification with an object as its payload")
        changed = [
            name
            for name in Notification.model_fields
            if name not in FREE and getattr(returned, name) != getattr(hydrated.notification, name)
        ]
        if changed:
            raise self._refusal(f"it changed {', '.join(changed)}")
        check_bounds(returned, self.bounds)
        told = hydrated_by(self.name)
        return Done.then(told(**hydrated.key._asdict(), notification=returned))

    def _refusal(self, what: str) -> Permanent:
        rule = "a stage of one's own may change payload and overrides, and nothing else"
        return Permanent(f"{what}: {rule}", code="stage_result")


def _is_whole(returned: object) -> TypeGuard[Notification]:
    """Whether it is one whose free parts are what they should be: a copy's are not looked at."""
    if not isinstance(returned, Notification):
        return False
    payload, overrides = cast("object", returned.payload), cast("object", returned.overrides)
    return isinstance(payload, dict) and isinstance(overrides, dict | None)
