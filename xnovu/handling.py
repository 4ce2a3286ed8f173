"""What transports do alike with what they deliver."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from xnovu.envelope import dead_letter, is_dead_letter
from xnovu.errors import Permanent
from xnovu.events import Failure
from xnovu.policy import Fate, Retry
from xnovu.ports import Delivery, Handler, Publisher

log = logging.getLogger(__name__)

AGAIN_AFTER = 0.1
"""Seconds until a batch whose handler raised comes again."""


async def handled(handler: Handler, deliveries: Sequence[Delivery]) -> Sequence[Fate]:
    """The handler's fates; all of it comes again where it raises."""
    try:
        return await handler(deliveries)
    except Exception as error:  # noqa: BLE001 - the port's promise
        log.error("a handler raised %s", type(error).__name__)
        return [Retry(AGAIN_AFTER)] * len(deliveries)


async def buried(
    publisher: Publisher, delivery: Delivery, stage: str, at: datetime, what: str
) -> bool:
    """
    Publish a dead letter (``crashed``) for a message whose every worker vanished.

    Nobody else is left to do so. ``delivery.attempt`` says how often it was delivered, ``what``
    where it stands, for the log. False: it is to be tried again.
    """
    headers: Mapping[str, str] = delivery.headers
    if is_dead_letter(headers):
        return True
    attempts, address = delivery.attempt, delivery.address
    said = f"delivered {attempts} times, and each time its worker vanished"
    failure = Failure(code="crashed", stage=stage, message=said, attempts=attempts, at=at)
    log.error("%s: %s: %s", what, stage, said)
    for whole in (True, False):
        letter = dead_letter(headers, delivery.body, failure, whole=whole, address=address)
        [error] = await publisher.publish([letter])
        if not isinstance(error, Permanent):
            return error is None
    return True  # nobody can ever be told
