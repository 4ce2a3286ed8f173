"""Settings that are each fine, and together break what docs/reliability.md promises."""

from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xnovu.compose.settings import Settings

DAY = 86_400.0
AT_PROVIDER = ("trigger", "retract")
"""The stages that ask the provider; it answers within twice its time-out."""


def broken(settings: "Settings") -> Iterator[str]:
    """Each combination that cannot work: its settings, what they are, and why."""
    yield from _looked_up_wrongly(settings)
    yield from _cut_off(settings)
    yield from _claimed_too_early(settings)


def _looked_up_wrongly(settings: "Settings") -> Iterator[str]:
    told = settings.provider
    if told.settle < told.timeout:
        yield (
            f"provider.settle ({told.settle:g} s) is shorter than provider.timeout"
            f" ({told.timeout:g} s): what it is still at work on would not be found, and be sent"
            " twice"
        )
    if told.remembered <= (needed := told.timeout + told.settle):
        yield (
            f"provider.remembered ({told.remembered:g} s) is not longer than provider.timeout and"
            f" provider.settle together ({needed:g} s): whatever is in doubt would end FAILED"
            " (unclear), and never be looked up"
        )


def _cut_off(settings: "Settings") -> Iterator[str]:
    answers = 2 * settings.provider.timeout
    for name in AT_PROVIDER:
        if (allowed := settings.policy(name).timeout) <= answers:
            yield (
                f"stages.{name}.timeout ({allowed:g} s) is not longer than twice provider.timeout"
                f" ({answers:g} s): a batch would be cut off while it may still answer"
            )


def _claimed_too_early(settings: "Settings") -> Iterator[str]:
    lease, told = settings.ingest.lease, settings.provider
    needed = max(settings.policy("trigger").timeout, told.timeout + told.settle)
    if lease <= needed:
        yield (
            f"ingest.lease ({lease:g} s) is not longer than a sender may need ({needed:g} s:"
            " stages.trigger.timeout, or provider.timeout and provider.settle together): rows would"
            " be claimed again while they are sent"
        )
    kept = getattr(settings.transport, "retention_days", inf) * DAY
    if kept <= lease:
        yield (
            f"transport.retention_days ({kept:g} s) is not longer than ingest.lease ({lease:g} s):"
            " messages would go before their rows are claimed again"
        )


def costly(settings: "Settings") -> Iterator[str]:
    """Each combination that works, but does some work twice: what it is, and why."""
    stop = settings.transport.stop_timeout
    for name, policy in settings.policies():
        if policy.timeout >= stop:
            yield (
                f"transport.stop_timeout ({stop:g} s) is not longer than {name}.timeout"
                f" ({policy.timeout:g} s): at SIGTERM a batch may be cut off, and come again"
            )
