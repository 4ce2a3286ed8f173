"""Names and limits, without a server."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from tests.builders import a_notification, captured
from xnovu.adapters.nats.address import asked, bare_servers, credentials
from xnovu.adapters.nats.configuration import consumer_config
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.topology import (
    ADVISORIES,
    Lane,
    address_of,
    boxes_of,
    mailbox_of,
    retries_of,
    some_subjects,
    stream_name,
    subject_of,
)
from xnovu.errors import ConfigurationError, Permanent
from xnovu.events import Failure, Rejected, hydrated_by
from xnovu.policy import Policy


def rejected(stage: str, enterprise: str = "acme") -> Rejected:
    failure = Failure(code="c", stage=stage, message="m", attempts=1, at=datetime.now(UTC))
    return Rejected(notification_id=1, enterprise_id=enterprise, failure=failure)


def test_a_subject_is_kind_and_enterprise():
    assert subject_of("xnovu", captured(1).event) == "xnovu.ingest.acme"
    assert subject_of("xnovu", rejected("hydrate")) == "xnovu.dead.hydrate.acme"
    assert stream_name("xnovu", "ingest") == "XNOVU_INGEST"
    assert stream_name("xnovu", retries_of("Greeter")) == "XNOVU_RETRY_Greeter"


def test_what_goes_before_others_has_a_word_more_and_its_enterprise_still_has_it():
    assert subject_of("xnovu", captured(1).event, express=True) == "xnovu.ingest.acme.express"
    assert subject_of("xnovu", rejected("hydrate"), express=True) == "xnovu.dead.hydrate.acme"
    both = ["xnovu.ingest.acme", "xnovu.ingest.acme.express"]
    assert some_subjects("xnovu", "ingest", "acme") == both
    assert some_subjects("xnovu", "ingest") == ["xnovu.ingest.>"]
    assert some_subjects("xnovu", "dead", "acme", "hydrate") == ["xnovu.dead.hydrate.acme"]


@pytest.mark.parametrize(
    ("enterprise", "token"),
    [
        ("3f2b-AZ_09", "3f2b-AZ_09"),
        ("a.b", "a%2Eb"),
        ("a b", "a%20b"),
        (">", "%3E"),
        ("*", "%2A"),
        ("é", "%C3%A9"),
        ("", "%"),
        ("%", "%25"),
    ],
)
def test_an_enterprise_is_one_level_of_the_subject(enterprise: str, token: str):
    assert subject_of("x", captured(1, enterprise_id=enterprise).event) == f"x.ingest.{token}"


@pytest.mark.parametrize("enterprise", ["a\r\nPUB b", "a\tb", "\ud800", "x" * 600, "é" * 100])
def test_an_enterprise_that_cannot_travel_is_refused_and_not_quoted(enterprise: str):
    with pytest.raises(Permanent) as caught:
        subject_of("x", rejected("hydrate", enterprise))
    assert caught.value.code == "unaddressable"
    assert enterprise not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"prefix": "a.b"},
        {"prefix": ""},
        {"lease": 0},
        {"duplicate_window": 1},
        {"replicas": 0},
        {"stream": "X"},
    ],
    ids=str,
)
def test_a_wrong_option_is_refused(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        NatsOptions.model_validate(wrong)


def test_a_mailbox_name_must_do_for_a_consumer():
    for name in ("a.b", "a b", "", "a*", "ä"):
        with pytest.raises(ConfigurationError):
            boxes_of(name, ["ingest"], Policy())


def test_a_mailbox_has_a_consumer_for_each_kind_and_for_its_own_copies():
    configs = [
        consumer_config(NatsOptions(), box)
        for box in boxes_of("box", ["ingest", "dead"], Policy(batch=100, slots=4))
    ]
    assert [(config.name, config.filter_subject) for config in configs] == [
        ("box", "xnovu.ingest.*"),
        ("box", "xnovu.dead.>"),
        ("box+express", "xnovu.ingest.*.express"),
        ("box+at", "xnovu.retry.box.at.>"),
        ("box", "xnovu.retry.box.due.>"),
        ("box+alone", "xnovu.retry.box.alone.>"),
        ("box", None),
        ("box+advice", None),
    ]
    heard = [config.filter_subjects for config in configs[-2:]]
    assert heard[0] == [f"{ADVISORIES}.*.{durable}" for durable in ("box", "box+express")]
    copies = f"{ADVISORIES}.XNOVU_RETRY_box"
    assert heard[1] == [f"{copies}.{durable}" for durable in ("box", "box+alone")]
    assert {config.backoff for config in configs} == {None}
    assert (configs[0].max_ack_pending or 0) > 20_000
    assert {mailbox_of(config.name or "") for config in configs} == {"box"}


def test_credentials_are_kept_apart_and_asked_for_anew():
    word = "one"

    def url() -> str:
        return f"nats://me:{word}@a:1, nats://b:2"

    assert bare_servers(url) == ["nats://a:1", "nats://b:2"]
    given = credentials(url)
    assert [given["user"](), given["password"]()] == ["me", "one"]
    word = "t%40o"
    assert given["password"]() == "t@o"
    assert credentials(lambda: "nats://h:1") == {}
    assert credentials(lambda: "nats://token@h:1")["token"]() == "token"


def test_an_address_that_cannot_be_read_is_the_last_one_that_could():
    answers = iter(["nats://a:1", "nats://b:1", "nats://c:1"])
    ask = asked(lambda: next(answers))
    assert [ask(), ask(), ask(), ask()] == ["nats://b:1", "nats://c:1", "nats://c:1", "nats://c:1"]
    assert asked("nats://a:1")() == "nats://a:1"


def test_what_a_stage_of_ones_own_tells_has_an_express_lane_as_what_hydrate_tells():
    told = hydrated_by("enrich")(
        notification_id=1, enterprise_id="acme", notification=a_notification(1)
    )
    assert subject_of("xnovu", told) == "xnovu.enrich.acme"
    assert subject_of("xnovu", told, express=True) == "xnovu.enrich.acme.express"
    assert address_of("xnovu.enrich.acme.express").agrees(told)
    assert not address_of("xnovu.hydrate.acme").agrees(told)
    lanes = [box.lane for box in boxes_of("trigger", ["enrich"], Policy()) if box.kind == "enrich"]
    assert lanes == [Lane.KIND, Lane.EXPRESS]
