"""What a notification waits for, in words."""

from typing import Any

import pytest

from xnovu.cli.waiting import reason_of

SINCE = "2026-03-01T10:00:00+00:00"


@pytest.mark.parametrize(
    ("waits", "words"),
    [
        (
            {"for": "schedule", "until": SINCE, "seconds": 7200.0},
            "its schedule, 2026-03-01 10:00:00, roughly 2 h",
        ),
        (
            {"for": "turn", "weight": 1, "enterprises": 1, "ahead": 0, "seconds": None},
            "its enterprise's turn (weight 1)",
        ),
        (
            {"for": "turn", "weight": 4, "enterprises": 3, "ahead": 1000, "seconds": 100.0},
            "its enterprise's turn (weight 4, beside 2 others), 1,000 or more of its own before it,"
            " at least 100 s",
        ),
        (
            {"for": "workflow", "most": 2, "in_hand": 2, "ahead": 7, "seconds": 300},
            "its workflow's limit: 2 of 2 are PROCESSING, 7 of its own before it, roughly 5 min",
        ),
        (
            {"for": "concurrency", "most": 9, "in_hand": 9, "ahead": 0, "seconds": None},
            "its enterprise's limit: 9 of 9 are PROCESSING",
        ),
        (
            {"for": "rate", "rate": 0.5, "ahead": 3, "seconds": 8.0},
            "its enterprise's rate of 0.5 per second, 3 of its own before it, roughly 8 s",
        ),
        (
            {"for": "stages", "since": SINCE, "paused": {"trigger": "provider_auth: refused"}},
            "the stages, which have it, since 2026-03-01 10:00:00\n"
            "  trigger is paused: provider_auth: refused",
        ),
        (
            {"for": "retraction", "since": SINCE, "paused": {"?": "not known"}},
            "its outcome at Novu, since 2026-03-01 10:00:00\n  not known",
        ),
        (
            {"for": "publication", "since": SINCE},
            "the platform to publish it (publish_status, deactivated), since 2026-03-01 10:00:00",
        ),
        (
            {"for": "set_aside", "since": SINCE, "said": 'constraint "kept" (23514)'},
            'the database to let it be changed, which it refuses: constraint "kept" (23514),'
            " since 2026-03-01 10:00:00",
        ),
    ],
)
def test_every_reason(waits: dict[str, Any], words: str) -> None:
    assert reason_of(waits) == words
