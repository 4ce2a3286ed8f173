"""What is asked of Realtime."""

import pytest

from xnovu.adapters.supabase.realtime_channels import Binding, Kind, channels, is_own_work

OTHERS_DO = "notification_status=in.(PENDING,RETRACTED)"


def test_one_channel_for_everyone() -> None:
    assert channels([]) == {
        "xnovu": (
            Binding(Kind.Insert, None, ("id",)),
            Binding(Kind.Update, OTHERS_DO, ("id",)),
        )
    }


def test_a_channel_for_each_enterprise() -> None:
    asked = channels(["acme", "globex"])
    assert list(asked) == ["xnovu-acme", "xnovu-globex"]
    assert asked["xnovu-acme"] == (
        Binding(Kind.Insert, "enterprise_id=eq.acme", ("id",)),
        Binding(Kind.Update, f"{OTHERS_DO},enterprise_id=eq.acme", ("id",)),
    )


def test_an_older_server_is_asked_for_all_updates_of_an_enterprise() -> None:
    (_, updates) = channels(["acme"], one_filter=True)["xnovu-acme"]
    mine = ("id", "notification_status")
    assert updates == Binding(Kind.Update, "enterprise_id=eq.acme", mine)
    assert channels([], one_filter=True) == channels([])


@pytest.mark.parametrize(
    ("kind", "record", "own"),
    [
        ("UPDATE", {"id": 1, "notification_status": "PROCESSING"}, True),
        ("UPDATE", {"id": 1, "notification_status": "SENT"}, True),
        ("UPDATE", {"id": 1, "notification_status": "RETRACTED"}, False),
        ("UPDATE", {"id": 1, "notification_status": "PENDING"}, False),
        ("UPDATE", {"id": 1}, False),
        ("UPDATE", None, False),
        ("INSERT", {"id": 1, "notification_status": "SENT"}, False),
    ],
)
def test_only_what_is_surely_its_own_work_is_left_out(kind, record, own) -> None:
    assert is_own_work(kind, record) is own
