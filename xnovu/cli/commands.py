"""Every command, its options and its help; what each does stands in a module of its own."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from xnovu.cli.help import examples
from xnovu.cli.limits.commands import limits
from xnovu.cli.operate import commands as operate


def _told_version(asked: bool) -> None:
    if asked:
        from xnovu.version import installed

        typer.echo(f"xnovu {installed()}")
        raise typer.Exit


cli = typer.Typer(
    name="xnovu",
    help="Insert a row, and someone is notified.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
config = typer.Typer(help="Look at the configuration.", no_args_is_help=True)
cli.add_typer(config, name="config")
cli.add_typer(operate.dead, name="dead")
cli.add_typer(limits, name="limits")
cli.add_typer(operate.consumers, name="consumers")
workflows = typer.Typer(help="Look at the workflows that are registered.", no_args_is_help=True)
cli.add_typer(workflows, name="workflows")
new = typer.Typer(help="Write the beginning of something of your own.", no_args_is_help=True)
cli.add_typer(new, name="new")
cli.command(epilog=examples("xnovu retry --failed --code exhausted --limit 500"))(operate.retry)
cli.command(epilog=examples("xnovu retract 42 --reason 'a mistake' --wait 90"))(operate.retract)
cli.command(
    epilog=examples("xnovu replay hydrate --since 2h", "xnovu replay status --to analytics --yes")
)(operate.replay)


@cli.callback()
def every(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_told_version, help="Which XNovu."),
    ] = False,
) -> None:
    """Insert a row, and someone is notified."""
    del version


@cli.command(epilog=examples("xnovu demo", "xnovu demo --rows 5000 --plain"))
def demo(
    rows: Annotated[int, typer.Option(min=100, max=100_000, help="How many to insert.")] = 3000,
    plain: Annotated[bool, typer.Option("--plain", help="No live display.")] = False,
) -> None:
    """
    Show the whole thing at work, on servers of its own, and check what became of every row.

    Exit code 0 only if every row ended as it must.
    """
    from xnovu.cli.demo import show

    raise typer.Exit(show(rows, plain=plain))


@cli.command(epilog=examples("xnovu dev", "xnovu dev --supabase --folder .xnovu/supabase"))
def dev(
    folder: Annotated[Path, typer.Option(help="Where the data is kept between runs.")] = Path(
        ".xnovu/dev"
    ),
    supabase: Annotated[
        bool,
        typer.Option("--supabase", help="A local Supabase, too; the stages know only its URL."),
    ] = False,
) -> None:
    """Run Postgres, NATS, a local Novu and all stages until Ctrl-C; data is kept."""
    from xnovu.cli.dev import keep_running

    keep_running(folder, supabase=supabase)


@cli.command(epilog=examples("xnovu run trigger", "xnovu run all --port 9000", "xnovu run greeter"))
def run(
    stages: Annotated[
        list[str],
        typer.Argument(
            metavar="STAGE…",
            help="ingest, hydrate, trigger, status, retract; all: these; analytics;"
            " or a Python module with consumers of yours.",
        ),
    ],
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Of /healthz, /readyz, /metrics; 0: any free one."),
    ] = None,
) -> None:
    """Run one stage, several, or all in one process, against the configured servers."""
    from xnovu.cli.run import run_stages

    run_stages(stages, port)


@cli.command(
    epilog=examples(
        "xnovu migrate --plan",
        "xnovu migrate",
        "xnovu migrate --roles",
        "xnovu migrate --supabase .",
    )
)
def migrate(
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
    supabase: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Reach no database: write what is new into this project's `supabase/migrations`,"
            " for `supabase db push` or the SQL editor.",
        ),
    ] = None,
    roles: Annotated[
        bool,
        typer.Option(
            "--roles",
            help="Make the roles xnovu_stage and xnovu_sender, too: what stages and senders may do,"
            " and nothing else. To be granted to logins.",
        ),
    ] = False,
    as_json: operate.Json = False,
) -> None:
    """Bring the database's `notify` schema up to date; on what is there it only adds."""
    from xnovu.cli.setup import migrate_database, write_migrations

    if supabase and roles:
        raise typer.BadParameter(
            "--supabase reaches no database: make the roles by `--roles` alone"
        )
    if supabase:
        write_migrations(supabase, plan_only=plan, as_json=as_json)
    else:
        migrate_database(plan_only=plan, roles=roles, as_json=as_json)


@cli.command(epilog=examples("xnovu provision"))
def provision(as_json: operate.Json = False) -> None:
    """Create or update the streams and consumers in NATS; does nothing where nothing differs."""
    from xnovu.cli.setup import provision_broker

    asyncio.run(provision_broker(as_json=as_json))


@cli.command(
    epilog=examples(
        """xnovu send -e ENTERPRISE -w welcome -r SUBSCRIBER -p '{"name": "Ada"}'""",
        "xnovu send --json rows.json --wait 10",
        "cat rows.ndjson | xnovu send --json -",
    )
)
def send(
    enterprise: Annotated[
        str | None, typer.Option("-e", "--enterprise", help="Its id: whose it is.")
    ] = None,
    workflow: Annotated[str | None, typer.Option("-w", "--workflow", help="Its key.")] = None,
    recipient: Annotated[
        list[str] | None, typer.Option("-r", "--recipient", help="Repeat for several.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="What it is called.")] = None,
    payload: Annotated[
        str | None, typer.Option("-p", "--payload", help="JSON, or @FILE, or - for stdin.")
    ] = None,
    at: Annotated[str | None, typer.Option("--at", help="When (ISO 8601 with a zone).")] = None,
    expires: Annotated[str | None, typer.Option("--expires", help="Not sent from then on.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option("-t", "--tag", help="Repeat for several.")
    ] = None,
    rows: Annotated[
        Path | None, typer.Option("--json", help="Rows as JSON, a list or one a line; - is stdin.")
    ] = None,
    wait: Annotated[
        float, typer.Option("--wait", min=0, help="Wait so many seconds for the end, and tell it.")
    ] = 0.0,
    as_json: Annotated[
        bool, typer.Option("--json-out", help="Print JSON: the ids, and how each ended.")
    ] = False,
) -> None:
    """Insert notifications, from options or from JSON with the table's column names."""
    from xnovu.cli.send import Flags, insert

    flags = Flags(enterprise, workflow, recipient, name, payload, at, expires, tag)
    raise typer.Exit(asyncio.run(insert(flags, rows, wait, as_json=as_json)))


@cli.command(epilog=examples("xnovu show 42", "xnovu show 42 --json | jq .transitions"))
def show(
    notification: Annotated[int, typer.Argument(metavar="ID", help="As `send` prints it.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    payload: Annotated[
        bool, typer.Option("--payload", help="Show payload, overrides and recipients, too.")
    ] = False,
) -> None:
    """Show a notification with its whole history."""
    from xnovu.cli.show import tell

    raise typer.Exit(asyncio.run(tell(notification, as_json=as_json, private=payload)))


@cli.command(epilog=examples("xnovu novu --port 8025 --rate free"))
def novu(
    port: Annotated[int, typer.Option(min=1, max=65535, help="To listen on.")] = 8025,
    host: Annotated[str, typer.Option(help="To listen on; it asks for no key.")] = "127.0.0.1",
    rate: Annotated[
        str | None,
        typer.Option(help="free, pro, team, enterprise, or requests per second; none: no limit."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A name, beside localhost and addresses, that clients call it by."),
    ] = None,
) -> None:
    """Run the local Novu alone: its event API, and a page of what people would have received."""
    from xnovu.cli.novu import serve_novu

    asyncio.run(serve_novu(host, port, rate, allow_host or ()))


@config.command(
    epilog=examples(
        "xnovu config check", "xnovu config check --connect", "xnovu config check trigger --connect"
    )
)
def check(
    stages: Annotated[
        list[str] | None, typer.Argument(help="What these need; none: what all of them do.")
    ] = None,
    connect: Annotated[
        bool,
        typer.Option("--connect", help="Also try what each stage will need of the servers."),
    ] = False,
    as_json: operate.Json = False,
) -> None:
    """Read the configuration, say what is wrong with it, and show what is in force."""
    from xnovu.cli.config import check_configuration

    done = check_configuration(stages or ["all"], connect=connect, as_json=as_json)
    raise typer.Exit(asyncio.run(done))


@workflows.command(
    "check",
    epilog=examples(
        "xnovu workflows check", "xnovu workflows check welcome", "xnovu workflows check -f s.json"
    ),
)
def check_workflows(
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="KEY", help="Of these only; none: all.")
    ] = None,
    enterprise: operate.Enterprise = None,
    file: Annotated[
        Path | None,
        typer.Option("-f", "--file", exists=True, dir_okay=False, help="A schema; no database."),
    ] = None,
    as_json: operate.Json = False,
) -> None:
    """
    Check payload schemas before a row needs them: each is one, and is checked with in time.

    Exit code 1 if one is not, or a KEY is not registered.
    """
    from xnovu.cli.workflows import check_file, check_registered

    checked = (
        check_file(file, as_json=as_json)
        if file
        else check_registered(keys or (), enterprise, as_json=as_json)
    )
    raise typer.Exit(asyncio.run(checked))


@new.command("consumer", epilog=examples("xnovu new consumer greeter"))
def new_consumer(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its mailbox, and its module.")],
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Where to; by default a folder of its name.")
    ] = None,
    as_json: operate.Json = False,
) -> None:
    """Write a project with a consumer, its test and a pyproject.toml; overwrites nothing."""
    from xnovu.cli.new import write_consumer

    write_consumer(name, folder, as_json=as_json)
