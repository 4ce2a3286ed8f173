"""
Nothing private gets out, in whatever form others repeat it.

No test here looks for a value: one of two characters stands in any text. Instead everything is done
twice, with rows that differ in all that is private; what comes out must be the very same.
"""

import json
import logging
import re
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.security.conftest import Log
from tests.security.worlds import FORMS, Private, rows
from tests.unit.adapters.novu.building import problem
from tests.unit.sql.test_errors import STATES
from xnovu.adapters.http import HealthServer
from xnovu.adapters.logs import LogObserver
from xnovu.adapters.metrics import Metrics, Observers
from xnovu.adapters.novu import NovuOptions, NovuProvider
from xnovu.adapters.novu.phrases import told, violation
from xnovu.adapters.supabase.errors import refusal
from xnovu.adapters.supabase.realtime_session import KNOWN
from xnovu.cli.operate.dead import _told
from xnovu.cli.operate.letters import Letter
from xnovu.envelope import Envelope
from xnovu.events import Event, Hydrated, Notification, Rejected
from xnovu.payloads.worker import compiled
from xnovu.policy import Policy
from xnovu.ports import Delivery
from xnovu.redaction import LIMIT, phrases_in
from xnovu.sending import Begun, Sending, SendTimes, Verdict
from xnovu.sql.errors import Complaint, translate
from xnovu.stage import Actor
from xnovu.stages.trigger import Trigger

FEW = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
MORE = settings(FEW, max_examples=25)


ANSWERS: dict[str, Callable[[str], httpx.Response]] = {
    "a message": lambda said: problem(400, said),
    "messages": lambda said: problem(422, [said, "is required", said]),
    "a fault by its field": lambda said: problem(
        422, "Validation Error", errors={said: {"messages": [said], "value": said}}
    ),
    "a fault of a field of the API": lambda said: problem(
        422,
        "Validation Error",
        errors={f"payload.{said}": {"messages": [f"{said} must be string"]}},
    ),
    "faults as a list": lambda said: problem(
        400, "Payload validation failed", errors=[{"field": said, "message": said, "value": said}]
    ),
    "a status": lambda said: httpx.Response(201, json={"data": {"status": said}}),
    "an error of the event": lambda said: httpx.Response(
        201, json={"data": {"status": "error", "error": [said, said]}}
    ),
    "an unavailable provider": lambda said: problem(503, said),
    "a refused key": lambda said: problem(401, said),
    "a rate limit": lambda said: httpx.Response(429, text=said, headers={"retry-after": "0"}),
    "a broken server": lambda said: httpx.Response(500, text=said),
    "a header": lambda said: problem(400, "no", said="x"),
}
"""Where an answer of Novu's can hold what was said to it."""


class Everything:
    """A store that lets everything be sent."""

    async def begin_send(self, keys: Sequence[Any], times: SendTimes) -> Sending:
        return Sending("mine", dict.fromkeys(keys, Begun(Verdict.SEND)))

    async def end_send(self, *_: Any) -> None: ...


class Book:
    """A publisher that remembers."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def publish(self, envelopes: Sequence[Envelope[Event]]) -> Sequence[None]:
        self.events += [envelope.event for envelope in envelopes]
        return [None] * len(envelopes)


def hydrated(row: Private) -> Envelope[Hydrated]:
    notification = Notification(
        id=7,
        enterprise_id="acme",
        workflow_key="welcome",
        transaction_id="order-7",
        recipients=row.recipients,
        payload=row.payload,
        overrides=row.overrides,
        name=row.name,
        tags=row.tags,
    )
    return Envelope(Hydrated(notification_id=7, enterprise_id="acme", notification=notification))


def echo(answer: Callable[[str], httpx.Response], form: Callable[[str], str]) -> Any:
    """A Novu that repeats all that it was sent, headers too."""

    def answered(request: httpx.Request) -> httpx.Response:
        return answer(form(f"{request.content.decode()} {request.headers.get('authorization')}"))

    return httpx.MockTransport(answered)


async def delivered(row: Private, novu: httpx.MockTransport) -> dict[str, Any]:
    """Everything that anybody may see of an attempt to send a row."""
    options = NovuOptions(url="http://novu.test", environment="test")
    provider = NovuProvider(options, lambda: row.key, transport=novu)
    await provider.open()
    book, metrics, observer = Book(), Metrics(), LogObserver()
    actor = Actor(
        Trigger(Everything(), provider),  # pyright: ignore[reportArgumentType]
        Policy(attempts=1),
        book,
        Observers(metrics, observer),
    )
    actor.stopping.set()
    fates = await actor([Delivery(*hydrated(row).encode(), 1)])
    observer.flush()
    await provider.close()
    return {"fates": repr(fates), "letters": letters(book), "metrics": shown(metrics)}


def letters(book: Book) -> list[Any]:
    """Dead letters as they are listed, and the `error_details` that the row gets."""
    dead = [event for event in book.events if isinstance(event, Rejected)]
    told = [_told(Letter(1, each.failure.at, each)) for each in dead]
    return [_timeless(each) for each in told]


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        timely = ("at", "dead_since")
        return {name: _timeless(each) for name, each in value.items() if name not in timely}
    return value


def shown(metrics: Metrics) -> list[str]:
    """Counters that tell of messages; times differ between any two runs."""
    lines = metrics.render()[1].decode().splitlines()
    return [line for line in lines if line.startswith("xnovu_messages_total")]


def lines(log: Log) -> list[Any]:
    timely = ("timestamp", "seconds", "slowest")
    return [{name: it for name, it in line.items() if name not in timely} for line in log.lines]


@pytest.fixture
def no_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is TLS, and reading them takes longer than a delivery."""
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda *_, **__: None)


@pytest.mark.usefixtures("no_authorities")
@pytest.mark.parametrize("where", ANSWERS)
@FEW
@given(one=rows(), other=rows(), form=st.sampled_from(sorted(FORMS)))
async def test_novu_may_repeat_what_it_was_sent_in_any_form(
    log: Log, where: str, one: Private, other: Private, form: str
) -> None:
    """Not in fates, error_details, dead letters, metrics or the log, also when debugging."""
    seen = []
    for row in (one, other):
        log.clear()
        told = await delivered(row, echo(ANSWERS[where], FORMS[form]))
        seen.append((told, lines(log)))
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("workflow_not_found", "workflow_not_found"),
        ("Payload validation failed", "Payload validation failed"),
        ("transactionId must be a string", "transactionId must be a string"),
        ("to should not be empty", "to should not be empty"),
        ("Ada must be a string", "… must be a string"),
        ("must have required property 'iban'", "must have required property …"),
        ('must match pattern "^DE"', "must match pattern …"),
        ("must be >= 18", "must be >= …"),
        ("value of ada@example.org is required", "… is required"),
        ("Workflow not found for Ada", "Workflow not found …"),
        ("Dear Ada", "…"),
        ("", ""),
    ],
)
def test_what_novu_says_in_its_own_words_is_told(text: str, kept: str) -> None:
    assert told(text) == kept


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("to", "to"),
        ("events.3.to", "events.3.to"),
        ("payload.salary", "payload.…"),
        ("payload[0]", "payload.…"),
        ("salary", "…"),
        ("tomorrow", "…"),
        (None, "…"),
    ],
)
def test_fields_of_novus_api_are_named_and_others_are_not(field: object, place: str) -> None:
    assert violation(field, "must be string") == f"{place}: must be string"


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["order"],
    "properties": {
        "order": {"type": "object", "additionalProperties": {"type": "integer"}},
        "people": {"additionalProperties": False, "propertyNames": {"maxLength": 0}},
        "items": {"prefixItems": [{}], "items": False},
        "one": {"enum": ["a", "b"]},
        "const": {"const": "c"},
        "not": {"not": {"type": "string"}},
        "any": {"anyOf": [{"type": "null"}, {"type": "array"}]},
        "pattern": {"pattern": "^$"},
        "long": {"maxLength": 0},
        "twice": {"uniqueItems": True},
        "has": {"contains": {"type": "null"}},
    },
    "patternProperties": {"^zz": {"type": "integer"}},
    "unevaluatedProperties": False,
}


def broken(secret: str) -> dict[str, Any]:
    """A payload that breaks every part of the schema with it."""
    return {
        "order": {f"{secret}?": secret},
        "people": {f"{secret}?": secret},
        "items": [secret, secret],
        **dict.fromkeys(("one", "const", "not", "any", "pattern", "long"), f"{secret}?"),
        "twice": [secret, secret],
        "has": [secret],
        f"zz{secret}": secret,
        f"{secret}?": secret,
    }


@MORE
@given(one=st.text(max_size=20), other=st.text(max_size=20))
@example("ada@example.org", "x" * 5000)
def test_a_payload_breaks_its_schema_with_whatever_names_and_values(one: str, other: str) -> None:
    """Property names too: only those that the schema itself has are told."""
    told = [compiled(SCHEMA).violations(broken(secret)) for secret in (one, other)]
    assert told[0] == told[1]
    assert '/order/…: the value is not of type "integer"' in told[0]


DATABASE_SAYS = (
    "{}",
    'permission denied for table "{}"',
    "permission denied for {} x",
    'duplicate key value violates unique constraint "k": {}',
    'the value in column "{}" is wrong',
    'new row for relation "t" violates check constraint "k" {}',
    'invalid input syntax for type integer: "{}"',
)


@pytest.mark.parametrize("text", DATABASE_SAYS)
def test_what_postgres_says_of_values_is_not_told(text: str) -> None:
    """By either way to the database; a function of the platform's may say what it likes."""
    for state in STATES:
        assert_nothing_told(state, text)


def assert_nothing_told(state: str, text: str) -> None:
    told: list[object] = []
    for secret in ("ada@example.org", "4711"):
        said = text.format(secret)
        body = {"code": state, "message": said, "hint": secret, "details": secret}
        headers = {"content-type": "application/json"}
        answer = httpx.Response(400, content=json.dumps(body), headers=headers)
        errors = (translate(Complaint(state, said, secret)), refusal(answer))
        told.append([(type(error), error.code, str(error)) for error in errors])
    assert told[0] == told[1]


def test_what_is_named_in_place_of_a_thing_of_the_database_need_be_none() -> None:
    error = translate(Complaint("P0001", "no", column="Dear Ada", constraint="a@b.c", table="t"))
    assert str(error) == 'the database refused it (P0001, table "t", column "…", constraint "…")'


@MORE
@given(row=rows(), form=st.sampled_from(sorted(FORMS)))
def test_realtime_may_repeat_a_row_or_a_key(row: Private, form: str) -> None:
    said = FORMS[form](row.words)
    assert phrases_in(f"Unauthorized: {said}", KNOWN) == "Unauthorized …"


@contextmanager
def failing(words: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError) as error:
        logging.getLogger("xnovu.x").error("a batch was not settled", exc_info=error)
        logging.getLogger("nats").exception("callback failed: %s", words)


@MORE
@given(one=rows(), other=rows(), form=st.sampled_from(sorted(FORMS)))
def test_libraries_may_log_whatever_they_were_handed(
    log: Log, one: Private, other: Private, form: str
) -> None:
    """As an argument, in a text put together, as an exception, as a field."""
    seen = []
    for row in (one, other):
        log.clear()
        words = FORMS[form](row.words)
        library = logging.getLogger("faststream")
        library.debug("received %s of %d", words, len(words))
        library.info(f"received {words}")
        library.warning(words)
        library.error(ValueError(words))
        with failing(words):
            raise ValueError(words) from KeyError(words)
        seen.append(lines(log))
    assert seen[0] == seen[1]
    assert seen[0][0]["event"] == "received %s of %d"


async def test_health_pages_do_not_repeat_what_a_check_was_told() -> None:
    """A library's exception in a check is told by its type and place."""

    async def wrong() -> str | None:
        raise ValueError("Al owes 7")

    pages: Mapping[str, Any] = {"metrics": lambda: ("text/plain", b""), "status": dict}
    server = HealthServer("127.0.0.1", 0, checks={"x": wrong}, live=lambda: None, **pages)
    await server.start()
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://127.0.0.1:{server.port}/readyz")
    await server.stop()
    assert re.fullmatch(r"failed: ValueError at [\w/.]+:\d+", answer.json()["checks"]["x"])


@MORE
@given(text=st.text(max_size=6000))
def test_what_is_told_is_short_and_one_line(text: str) -> None:
    for said in (text, f"is invalid{text}", "must be string " * 400):
        assert len(told(said)) <= LIMIT
        assert told(said).isprintable()
