"""Mailboxes at the broker: which there are, and how one's own is taken away."""

from dataclasses import asdict

from xnovu.cli.console import out, print_json, print_table
from xnovu.cli.operate.operator import agreed, operator
from xnovu.compose.kit import opened_store
from xnovu.compose.operating import archives
from xnovu.compose.settings import load
from xnovu.errors import ConfigurationError

HEAD = ("consumer", "reads", "unsettled", "runs")


async def tell_all(*, as_json: bool) -> None:
    """Print every mailbox there is."""
    settings = load()
    async with archives(settings) as kept:
        found = await kept.mailboxes.all()
    if as_json:
        print_json([asdict(each) for each in found])
    elif found:
        print_table(
            HEAD,
            [
                (it.name, ", ".join(it.kinds), f"{it.unsettled:,}", "yes" if it.running else "no")
                for it in found
            ],
        )
    else:
        out.print("no consumers: `xnovu provision` makes the stages'")


async def remove(name: str, *, yes: bool, who: str | None, as_json: bool) -> int:
    """Take a consumer of one's own away, with the copies that wait for it."""
    settings = load()
    if name in settings.pipeline.stages:
        raise ConfigurationError(f"{name} is a stage: without its mailbox nothing is sent")
    async with archives(settings) as kept:
        left = await kept.mailboxes.left_by(name)
        if not agreed(f"remove consumer {name}, which has not settled {left:,} messages?", yes=yes):
            return 0
        await kept.mailboxes.remove(name)
    async with opened_store(settings, "consumers") as store:
        told = {"consumer": name, "unsettled": left}
        await store.note_operation(operator(who), "consumers remove", 1, told)
    if as_json:
        print_json(told)
    else:
        out.print(f"removed: {name}, which had not settled {left:,} messages")
    return 0
