"""Prepares the database and the broker."""

from pathlib import Path

from xnovu.adapters.nats import provision
from xnovu.adapters.postgres import migrations
from xnovu.cli.console import out
from xnovu.cli.migration_files import migration_files
from xnovu.cli.run import PARTS
from xnovu.compose.kit import nats_access
from xnovu.compose.secrets import DATABASE_URL, secret
from xnovu.compose.settings import Settings, load


def migrate_database(*, plan_only: bool, roles: bool = False) -> None:
    """Show all that there is and, unless only the plan was asked for, apply what is pending."""
    url = secret(DATABASE_URL)()
    for step in migrations.plan(url):
        done = f"applied {step.applied_at:%Y-%m-%d %H:%M}" if step.applied_at else "pending"
        newer = ", by a newer version: nothing is changed" if step.newer else ""
        out.print(f"{step.name:<24} {done}{newer}")
    if plan_only:
        return
    applied = migrations.migrate(url)
    if roles:
        migrations.make_roles(url)
        out.print("roles xnovu_stage and xnovu_sender may be granted to logins")
    if applied or not roles:
        out.print(f"applied {len(applied)} migrations" if applied else "nothing to do")


def write_migrations(project: Path, *, plan_only: bool) -> None:
    """Show XNovu's files and, unless only the plan was asked for, write new ones."""
    files = migration_files(project)
    for file in files:
        done = "there" if file.written else "pending" if plan_only else "written"
        if not file.written and not plan_only:
            file.write()
        out.print(f"{file.path} {done}")
    if not plan_only and all(file.written for file in files):
        out.print("nothing to do")


async def provision_broker() -> None:
    """Create and update streams and consumers, and tell what was done."""
    for line in await provisioned(load()):
        out.print(line)


async def provisioned(settings: Settings) -> list[str]:
    """What provisioning did, a line each."""
    mailboxes = {
        part.name: (part.kinds, settings.policy(part.name))
        for part in PARTS.values()
        if not part.from_table
    }
    access = nats_access(settings)
    return [str(change) for change in await provision(access, settings.transport, mailboxes)]
