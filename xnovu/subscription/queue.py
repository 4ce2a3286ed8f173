"""How much is sent at a time, and how patiently, in the words of who embeds XNovu."""

from dataclasses import replace
from typing import Any

from pydantic import BaseModel, Field

from xnovu.compose.pipeline import Stages
from xnovu.compose.settings import Settings
from xnovu.policy import Policy

LONGEST = 60.0
"""Seconds between two tries, at most: after 2 minutes a claim may lapse, and with it the count."""

SLOTS = 8
"""Batches being sent at a time, at the most."""

AHEAD = 100
"""Notifications that are claimed ahead for each one that may be sent at a time."""


class QueueConfig(BaseModel, extra="forbid", frozen=True):
    """
    What the stages may do, in three numbers; raises pydantic's ValidationError for wrong ones.

    ``max_concurrent`` notifications are being sent at a time, at the most. What fails and may
    succeed later is tried ``retry_attempts`` times again, the first time after ``retry_delay``
    seconds, then after twice as many each time, up to a minute; up to half of a delay is taken
    off at random. What may have been sent is looked up once at least, whatever they say.
    """

    max_concurrent: int = Field(default=5, ge=1)
    retry_attempts: int = Field(default=3, ge=0)
    retry_delay: float = Field(default=1.0, gt=0, le=LONGEST)

    def applied(self, settings: Settings) -> dict[str, Any]:
        """The settings that these numbers change."""
        backlog = min(settings.ingest.backlog, AHEAD * self.max_concurrent)
        return {
            "stages": self._stages(settings.stages),
            "ingest": settings.ingest.model_copy(update={"backlog": backlog}),
        }

    def _stages(self, stages: Stages) -> Stages:
        sending = self._slots()
        trigger = replace(
            self._patient(stages.trigger),
            slots=sending,
            batch=self.max_concurrent // sending,
            attempts=max(2, 1 + self.retry_attempts),  # the second one is the look-up
        )
        patient = {name: self._patient(getattr(stages, name)) for name in ("hydrate", "status")}
        return stages.model_copy(update={**patient, "trigger": trigger})

    def _slots(self) -> int:
        """As many as share the number evenly."""
        return max(n for n in range(1, SLOTS + 1) if self.max_concurrent % n == 0)

    def _patient(self, policy: Policy) -> Policy:
        attempts = 1 + self.retry_attempts
        return replace(policy, attempts=attempts, backoff=self.retry_delay, backoff_max=LONGEST)
