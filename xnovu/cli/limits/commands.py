"""The commands about limits, their options and their help."""

import asyncio
from typing import Annotated

import typer

from xnovu.cli.help import examples
from xnovu.cli.operate.commands import As, Enterprise, Json

limits = typer.Typer(help="What each enterprise may have.", no_args_is_help=True)

Whose = Annotated[str, typer.Argument(metavar="ENTERPRISE", help="Its id.")]
Concurrency = Annotated[
    str | None, typer.Option("--concurrency", help="PROCESSING at once: a number, or none.")
]


@limits.command("list", epilog=examples("xnovu limits list", "xnovu limits list --json"))
def list_limits(enterprise: Enterprise = None, as_json: Json = False) -> None:
    """List the limits there are, of enterprises and of their workflows."""
    from xnovu.cli.operate.limits import tell_all

    asyncio.run(tell_all(enterprise, as_json=as_json))


@limits.command(
    "set",
    epilog=examples(
        "xnovu limits set ENTERPRISE --weight 4",
        "xnovu limits set ENTERPRISE --concurrency 500 --rate 50",
        "xnovu limits set ENTERPRISE --workflow digest --concurrency 10 --priority -1",
        "xnovu limits set ENTERPRISE --rate none",
        "xnovu limits set ENTERPRISE --recipient-prefix acme: --overrides email,sms",
    ),
)
def set_limits(
    enterprise: Whose,
    workflow: Annotated[
        str | None, typer.Option("-w", "--workflow", help="Of this workflow only: its key.")
    ] = None,
    weight: Annotated[
        str | None, typer.Option("--weight", help="Its part, others have 1: 1 to 1000, or none.")
    ] = None,
    concurrency: Concurrency = None,
    rate: Annotated[
        str | None, typer.Option("--rate", help="Rows claimed per second: a number, or none.")
    ] = None,
    priority: Annotated[
        str | None,
        typer.Option("--priority", help="Of a workflow's rows that state none, or none."),
    ] = None,
    recipient_prefix: Annotated[
        str | None,
        typer.Option("--recipient-prefix", help="What each recipient begins with, or none."),
    ] = None,
    overrides: Annotated[
        str | None,
        typer.Option("--overrides", help="Keys that overrides may have, by commas; none: any."),
    ] = None,
    who: As = None,
    as_json: Json = False,
) -> None:
    """Change limits; what is not named stays as it is, and `none` takes one back."""
    from xnovu.cli.operate.limits import change, value_of

    fields = {"concurrency": concurrency}
    restrictions = {"recipient_prefix": recipient_prefix, "overrides_allowed": overrides}
    whole = {"weight": weight, "rate": rate, **restrictions}
    fields |= {"priority": priority} if workflow else whole
    if workflow and any(text is not None for text in whole.values()):
        raise typer.BadParameter("a workflow has no weight, rate or restriction of its own")
    if priority and not workflow:
        raise typer.BadParameter("--priority is a workflow's: name it with --workflow")
    changes = {name: value_of(name, text) for name, text in fields.items() if text is not None}
    if not changes:
        raise typer.BadParameter("name what is to change, such as --weight 4")
    done = change(enterprise, changes, workflow, who, as_json=as_json)
    raise typer.Exit(asyncio.run(done))
