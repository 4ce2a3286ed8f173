"""What every store promises of what an enterprise may send at all."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from xnovu.events import Key
from xnovu.sending import Begun, Verdict
from xnovu.store import Row
from xnovu.testing.contract.store_bench import ACME, GLOBEX, Bench, claimed
from xnovu.testing.contract.store_sending import ALONE, SEND

DIFFERS = Begun(Verdict.DIFFERS)


class TestRestrictions:
    """Whom an enterprise's users may write to, and what they may override."""

    async def test_come_with_each_row_of_the_enterprise_and_can_be_taken_back(
        self, bench: Bench
    ) -> None:
        keys = await claimed(bench) + await claimed(bench, enterprise_id=GLOBEX)
        restrictions = {"recipient_prefix": "acme:", "overrides_allowed": ["email", "sms"]}
        await bench.store.limit(ACME, restrictions)
        assert await restricted(bench, keys) == {
            ACME: ("acme:", ["email", "sms"]),
            GLOBEX: (None, None),
        }
        [line] = await bench.store.limits(ACME)
        assert (line.recipient_prefix, list(line.overrides_allowed or ())) == (
            "acme:",
            ["email", "sms"],
        )
        await bench.store.limit(ACME, {"overrides_allowed": []})
        assert (await restricted(bench, keys))[ACME] == ("acme:", [])
        await bench.store.limit(ACME, dict.fromkeys(restrictions))
        assert await bench.store.limits(ACME) == []

    @pytest.mark.parametrize(
        ("allowed", "overrides", "verdict"),
        [
            (None, {"email": {}}, SEND),
            (["email"], {"email": {}}, SEND),
            ([], None, SEND),
            ([], {}, SEND),
            ([], {"email": {}}, DIFFERS),
            (["email"], {"email": {}, "sms": {}}, DIFFERS),
        ],
    )
    async def test_hold_whatever_a_message_says(
        self,
        bench: Bench,
        allowed: Sequence[str] | None,
        overrides: Mapping[str, Any] | None,
        verdict: Begun,
    ) -> None:
        """Also where they were changed after the row was looked at, or a stage of one's own did."""
        (key,) = await claimed(bench)
        row = (await bench.store.load([key]))[key]
        assert isinstance(row, Row)
        said = {key: row.notification.model_copy(update={"overrides": overrides})}
        await bench.store.limit(ACME, {"overrides_allowed": allowed, "recipient_prefix": "a"})
        assert (await bench.store.begin_send([key], ALONE, said)).verdicts == {key: verdict}


async def restricted(bench: Bench, keys: Sequence[Key]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, row in (await bench.store.load(keys)).items():
        assert isinstance(row, Row)
        allowed = row.overrides_allowed
        found[key.enterprise_id] = (
            row.recipient_prefix,
            None if allowed is None else list(allowed),
        )
    return found
