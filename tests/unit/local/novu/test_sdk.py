"""The official SDK is content with the local Novu."""

from collections.abc import AsyncIterator

import httpx
import pytest
from novu_py import Novu, models

from tests.conftest import eventually
from xnovu_local.novu import LocalNovuOptions, RunningNovu, Step, Workflow, running_novu

WORKFLOWS = [Workflow("welcome", steps=(Step("in_app"), Step("email", delay=1000)))]


@pytest.fixture
async def running() -> AsyncIterator[RunningNovu]:
    options = LocalNovuOptions(api_key="secret", rate="enterprise")
    async with running_novu(options, workflows=WORKFLOWS) as handle:
        yield handle


@pytest.fixture
async def sdk(running: RunningNovu) -> AsyncIterator[Novu]:
    with httpx.Client() as blocking:
        async with httpx.AsyncClient() as client:
            yield Novu(
                secret_key="secret",
                server_url=running.url,
                client=blocking,
                async_client=client,
                retry_config=None,
            )


def request(
    transaction: str, to: object = "ada", **fields: object
) -> models.TriggerEventRequestDto:
    one = {"name": "welcome", "to": to, "payload": {"n": 1}, "transactionId": transaction}
    return models.TriggerEventRequestDto.model_validate({**one, **fields})


async def test_triggers(running: RunningNovu, sdk: Novu) -> None:
    answer = await sdk.trigger_async(trigger_event_request_dto=request("t1"), retries=None)
    assert answer.result.status == models.TriggerEventResponseDtoStatus.PROCESSED
    assert answer.result.transaction_id == "t1"
    await eventually(lambda: running.novu.ledger.totals.notified == 1)


async def test_triggers_in_bulk(running: RunningNovu, sdk: Novu) -> None:
    to = [{"subscriberId": "ada", "email": "ada@example.com"}, "bob"]
    bulk = models.BulkTriggerEventDto(
        events=[request("t1", to), request("t2", name="nothing"), request("t3")]
    )
    answer = await sdk.trigger_bulk_async(bulk_trigger_event_dto=bulk, retries=None)
    assert [one.status.value for one in answer.result] == ["processed", "error", "processed"]
    assert answer.result[1].error == ["workflow_not_found"]
    await eventually(lambda: running.novu.ledger.totals.notified == 3)


async def test_cancels(running: RunningNovu, sdk: Novu) -> None:
    await sdk.trigger_async(trigger_event_request_dto=request("t1"), retries=None)
    await eventually(lambda: running.novu.ledger.totals.fan_outs == 1)
    assert (await sdk.cancel_async(transaction_id="t1", retries=None)).result is True
    assert (await sdk.cancel_async(transaction_id="t1", retries=None)).result is False


@pytest.mark.filterwarnings("ignore:.*DEPRECATED:DeprecationWarning")  # the SDK warns of itself
async def test_looks_notifications_up(running: RunningNovu, sdk: Novu) -> None:
    bulk = models.BulkTriggerEventDto(events=[request("t1", ["ada", "bob"]), request("t2")])
    await sdk.trigger_bulk_async(bulk_trigger_event_dto=bulk, retries=None)
    await eventually(lambda: running.novu.ledger.totals.fan_outs == 2)
    asked = models.NotificationsControllerListNotificationsRequest(transaction_id="t1", page=0)
    found = (await sdk.notifications.list_async(request=asked, retries=None)).result
    assert [one.transaction_id for one in found.data] == ["t1", "t1"]
    assert {one.subscriber.subscriber_id for one in found.data if one.subscriber} == {"ada", "bob"}
    assert [job.status for job in found.data[0].jobs or ()][:2] == ["completed", "completed"]
    assert found.has_more is False
    none = models.NotificationsControllerListNotificationsRequest(transaction_id="t9")
    assert (await sdk.notifications.list_async(request=none, retries=None)).result.data == []


async def test_takes_messages_back(running: RunningNovu, sdk: Novu) -> None:
    await sdk.trigger_async(trigger_event_request_dto=request("t1"), retries=None)
    await eventually(lambda: len(running.novu.inbox) == 1)
    channel = models.MessagesControllerDeleteMessagesByTransactionIDQueryParamChannel.IN_APP
    await sdk.messages.delete_by_transaction_id_async(
        transaction_id="t1", channel=channel, retries=None
    )
    assert running.novu.inbox.latest(1)[0].taken_back == ("in_app",)


async def test_gets_its_errors_in_the_shapes_it_knows(running: RunningNovu, sdk: Novu) -> None:
    with pytest.raises(models.ResponseValidationError) as unknown:
        await sdk.trigger_async(
            trigger_event_request_dto=request("t1", name="nothing"), retries=None
        )
    assert unknown.value.status_code == 422
    too_many = models.BulkTriggerEventDto(events=[request(f"t{n}") for n in range(101)])
    with pytest.raises(models.ValidationErrorDto) as invalid:
        await sdk.trigger_bulk_async(bulk_trigger_event_dto=too_many, retries=None)
    assert "events" in invalid.value.data.errors
    running.novu.change(api_key="other")
    with pytest.raises(models.ErrorDto) as refused:
        await sdk.trigger_async(trigger_event_request_dto=request("t1"), retries=None)
    assert refused.value.data.status_code == 401
    running.novu.change(api_key="secret", rate=1)
    with pytest.raises(models.APIError) as limited:
        await sdk.trigger_bulk_async(
            bulk_trigger_event_dto=models.BulkTriggerEventDto(events=[request("t1")]), retries=None
        )
    assert limited.value.status_code == 429
