"""The Idempotency-Key header as Novu heeds it, once switched on."""

from dataclasses import dataclass
from hashlib import blake2s
from http import HTTPStatus

from .answers import UNAVAILABLE, Answer, Problem, encoded

KEPT = 24 * 60 * 60.0
IN_PROGRESS = 5 * 60.0
MAX_KEY = 255
_REPLAYED = (("Idempotency-Replay", "true"),)


@dataclass(frozen=True, slots=True)
class Remembered:
    """A key once seen: the hash of its body, and the answer unless it is still being worked on."""

    body: bytes
    expires: float
    answer: Answer | None = None


class IdempotencyKeys:
    """All keys of the last 24 hours with the answers they got, errors included."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, Remembered] = {}

    def begin(self, key: str, document: object, path: str, now: float) -> Answer | None:
        """Takes a key; gives an answer instead if it was seen before, or is too long."""
        if len(key) > MAX_KEY:
            text = f'idempotencyKey "{key}" has exceeded the maximum allowed length of {MAX_KEY}'
            return Problem(400, f"{text} characters").answer(path, now)
        self._forget(now)
        body = _hash(document)
        seen = self._seen.get(key)
        if seen is None or seen.expires <= now:
            self._seen[key] = Remembered(body, now + IN_PROGRESS)
            return None
        return _repeated(key, seen, body, path, now).with_headers((("Idempotency-Key", key),))

    def finish(self, key: str, answer: Answer, now: float) -> Answer:
        """Keeps the answer to a key; the answer that is sent names the key."""
        begun = self._seen.pop(key, None)
        if begun is not None:
            self._seen[key] = Remembered(begun.body, now + KEPT, answer)
        return answer.with_headers((("Idempotency-Key", key),))

    def _forget(self, now: float) -> None:
        """Drops what has expired from the front, where the oldest are."""
        while self._seen:
            key = next(iter(self._seen))
            if self._seen[key].expires > now:
                return
            del self._seen[key]


def _hash(document: object) -> bytes:
    """Novu hashes the parsed body: white space does not count, the order of keys does."""
    return blake2s(encoded(document)).digest()


def _repeated(key: str, seen: Remembered, body: bytes, path: str, now: float) -> Answer:
    if seen.answer is None:
        text = f'Request with key "{key}" is currently being processed. Please retry after 1 second'
        return Problem(409, text).answer(path, now).with_headers((("Retry-After", "1"),))
    if seen.body != body:
        text = f'Request with key "{key}" is being reused for a different body'
        return Problem(422, text, {"errors": {}}).answer(path, now)
    return _replayed(seen.answer, path, now).with_headers(_REPLAYED)


def _replayed(answer: Answer, path: str, now: float) -> Answer:
    """
    The answer once more; an error loses its own status, as at Novu.

    Novu answers a replayed error with 500 or 503. Both occur here: a 5xx comes back as 500,
    any other error as 503.
    """
    if answer.status < HTTPStatus.BAD_REQUEST:
        return answer
    if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return UNAVAILABLE
    return Problem(500, "Internal server error").answer(path, now)
