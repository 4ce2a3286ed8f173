"""Prepares the database and the broker."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.postgres import migrations
from xnovu.cli.console import out, print_json
from xnovu.cli.migration_files import migration_files
from xnovu.compose.secrets import DATABASE_URL, secret
from xnovu.compose.settings import Settings, load

if TYPE_CHECKING:
    from xnovu.adapters.nats.provision import Mailboxes
    from xnovu.compose.part import Part


def migrate_database(*, plan_only: bool, roles: bool = False, as_json: bool = False) -> None:
    """Show all that there is and, unless only the plan was asked for, apply what is pending."""
    url = secret(DATABASE_URL)()
    steps = migrations.plan(url)
    if not as_json:
        for step in steps:
            out.print(f"{step.name:<24} {_done(step)}")
    applied: Sequence[str] = () if plan_only else migrations.migrate(url)
    if roles and not plan_only:
        migrations.make_roles(url)
    if as_json:
        told = [{"name": it.name, "applied_at": it.applied_at, "newer": it.newer} for it in steps]
        print_json({"steps": told, "applied": applied})
        return
    if roles and not plan_only:
        out.print("roles xnovu_stage and xnovu_sender may be granted to logins")
    if not plan_only and (applied or not roles):
        out.print(f"applied {len(applied)} migrations" if applied else "nothing to do")


def _done(step: migrations.Step) -> str:
    done = f"applied {step.applied_at:%Y-%m-%d %H:%M}" if step.applied_at else "pending"
    return f"{done}{', by a newer version: nothing is changed' if step.newer else ''}"


def write_migrations(project: Path, *, plan_only: bool, as_json: bool = False) -> None:
    """Show XNovu's files and, unless only the plan was asked for, write new ones."""
    files = migration_files(project)
    told: list[dict[str, str]] = []
    for file in files:
        done = "there" if file.written else "pending" if plan_only else "written"
        if not file.written and not plan_only:
            file.write()
        told.append({"file": str(file.path), "state": done})
        if not as_json:
            out.print(f"{file.path} {done}")
    if as_json:
        print_json(told)
    elif not plan_only and all(file.written for file in files):
        out.print("nothing to do")


async def provision_broker(*, as_json: bool = False) -> None:
    """Create and update streams and consumers, and tell what was done."""
    done = await provisioned(load())
    if as_json:
        print_json(done)
        return
    for line in done:
        out.print(line)


async def provisioned(settings: Settings) -> list[str]:
    """What provisioning did, a line each; only NATS needs any."""
    if not isinstance(settings.transport, NatsOptions):
        return [f'nothing to do: transport.kind is "{settings.transport.kind}"']
    from xnovu.adapters.nats.provision import provision
    from xnovu.compose.broker import nats_access

    access = nats_access(settings)
    pipeline = settings.pipeline
    needed: Mailboxes = {
        name: (kinds, settings.policy(name), pipeline.start_of(name))
        for name, kinds in pipeline.reads.items()
    }
    return [str(change) for change in await provision(access, settings.transport, needed)]


def mailboxes(settings: Settings, parts: "Iterable[Part]") -> "Mailboxes":
    """What the stages and consumers among these read, and how."""
    reads = settings.pipeline.reads
    return {
        part.name: (reads.get(part.name, part.kinds), settings.policy(part.name), part.start)
        for part in parts
        if not part.from_table
    }
