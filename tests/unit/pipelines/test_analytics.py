"""Analytics: counted by enterprise and status."""

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter

from pipelines.analytics import Analytics
from xnovu.envelope import Envelope
from xnovu.events import Status, StatusChanged


def changed(enterprise: str, status: Status) -> Envelope[StatusChanged]:
    return Envelope(
        StatusChanged(
            notification_id=1,
            enterprise_id=enterprise,
            status=status,
            previous=Status.PROCESSING,
            at=datetime(2030, 1, 1, tzinfo=UTC),
        )
    )


async def test_a_batch_is_counted_by_enterprise_and_status():
    registry = CollectorRegistry()
    counter = Counter("xnovu_notifications", "…", ("enterprise", "status"), registry=registry)
    batch = [changed("acme", Status.SENT)] * 2 + [changed("globex", Status.FAILED)]
    assert len(await Analytics(counter).handle(batch)) == 3
    for enterprise, status, count in (("acme", "SENT", 2), ("globex", "FAILED", 1)):
        labels = {"enterprise": enterprise, "status": status}
        assert registry.get_sample_value("xnovu_notifications_total", labels) == count
