"""Analytics: counted by enterprise and status."""

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from xnovu.consuming.analytics import analytics, counting
from xnovu.events import Status, StatusChanged


def changed(enterprise: str, status: Status) -> StatusChanged:
    return StatusChanged(
        notification_id=1,
        enterprise_id=enterprise,
        status=status,
        previous=Status.PROCESSING,
        at=datetime(2030, 1, 1, tzinfo=UTC),
    )


async def test_a_batch_is_counted_by_enterprise_and_status():
    registry = CollectorRegistry()
    batch = [changed("acme", Status.SENT)] * 2 + [changed("globex", Status.FAILED)]
    async with counting(registry) as counted:
        await analytics(batch, counted["statuses"])
    for enterprise, status, count in (("acme", "SENT", 2), ("globex", "FAILED", 1)):
        labels = {"enterprise": enterprise, "status": status}
        assert registry.get_sample_value("xnovu_notifications_total", labels) == count
