"""The operators' commands, their options and their help."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from xnovu.cli.help import examples

consumers = typer.Typer(help="Who reads the subjects.", no_args_is_help=True)
dead = typer.Typer(help="Dead letters: what the stages gave up.", no_args_is_help=True)

Numbers = Annotated[
    list[int] | None, typer.Argument(metavar="NUMBER", help="Of dead letters; none: see options.")
]
Number = Annotated[int, typer.Argument(metavar="NUMBER", help="As `dead list --each` shows it.")]
Stage = Annotated[str | None, typer.Option("--stage", help="The stage that gave up.")]
Enterprise = Annotated[str | None, typer.Option("-e", "--enterprise", help="Of this one only.")]
Code = Annotated[str | None, typer.Option("--code", help="With this error code only.")]
Since = Annotated[
    str | None, typer.Option("--since", help="From then on: ISO 8601, or 90s, 15m, 2h, 3d ago.")
]
Until = Annotated[str | None, typer.Option("--until", help="Before then.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without, it is asked, or a dry run.")]
As = Annotated[str | None, typer.Option("--as", help="Your name, for the audit.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


@dead.command("list", epilog=examples("xnovu dead list", "xnovu dead list --since 2h --each"))
def list_(
    stage: Stage = None,
    enterprise: Enterprise = None,
    code: Code = None,
    since: Since = None,
    until: Until = None,
    each: Annotated[bool, typer.Option("--each", help="One by one, not grouped.")] = False,
    as_json: Json = False,
) -> None:
    """List dead letters, grouped by stage and error code."""
    from xnovu.cli.operate.dead import tell_all

    wanted = _wanted((), stage, enterprise, code, since, until)
    asyncio.run(tell_all(wanted, as_json=as_json, each=each))


@dead.command(epilog=examples("xnovu dead show 17", "xnovu dead show 17 --payload"))
def show(
    number: Number,
    as_json: Json = False,
    payload: Annotated[
        bool, typer.Option("--payload", help="The original message, too: it may be private.")
    ] = False,
) -> None:
    """Show a dead letter: what it was, how often it was tried, and why it was given up."""
    from xnovu.cli.operate.dead import tell_one

    raise typer.Exit(asyncio.run(tell_one(number, as_json=as_json, private=payload)))


@dead.command(
    epilog=examples(
        "xnovu dead redrive 17 --yes",
        """xnovu dead redrive 17 --payload '{"order": "A-1"}' --yes""",
        "xnovu dead redrive --code exhausted --since 2h",
    )
)
def redrive(
    numbers: Numbers = None,
    stage: Stage = None,
    enterprise: Enterprise = None,
    code: Code = None,
    since: Since = None,
    until: Until = None,
    payload: Annotated[
        str | None, typer.Option("--payload", help="To send instead: JSON, or @FILE.")
    ] = None,
    yes: Yes = False,
    who: As = None,
    as_json: Json = False,
) -> None:
    """Send the rows of dead letters again, as a new generation; first shows which."""
    from xnovu.cli.operate.dead import redrive as send_again

    wanted = _wanted(numbers, stage, enterprise, code, since, until)
    edited = _payload(payload)
    raise typer.Exit(asyncio.run(send_again(wanted, edited, yes=yes, who=who, as_json=as_json)))


@dead.command(epilog=examples("xnovu dead discard 17 --reason 'sent by hand' --yes"))
def discard(
    reason: Annotated[str, typer.Option("--reason", help="For the audit.")],
    numbers: Numbers = None,
    stage: Stage = None,
    enterprise: Enterprise = None,
    code: Code = None,
    since: Since = None,
    until: Until = None,
    yes: Yes = False,
    who: As = None,
    as_json: Json = False,
) -> None:
    """Throw dead letters away; their rows stay FAILED. First shows which."""
    from xnovu.cli.operate.dead import discard as throw_away

    wanted = _wanted(numbers, stage, enterprise, code, since, until)
    done = throw_away(wanted, reason, yes=yes, who=who, as_json=as_json)
    raise typer.Exit(asyncio.run(done))


def retry(
    failed: Annotated[bool, typer.Option("--failed", help="Those that are FAILED.")] = False,
    enterprise: Enterprise = None,
    code: Code = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="So many at the most.")] = 1000,
    yes: Yes = False,
    who: As = None,
    as_json: Json = False,
) -> None:
    """Send FAILED notifications again, as a new generation; first shows which."""
    from xnovu.cli.operate.moments import database_time, moment
    from xnovu.cli.operate.retry import retry_failed
    from xnovu.desk import Search

    if not failed:
        raise typer.BadParameter("say --failed: nothing else can be tried again")
    search = Search(
        enterprise_id=enterprise,
        code=code,
        since=moment(since, "--since", database_time),
        until=moment(until, "--until", database_time),
    )
    done = retry_failed(search, limit, yes=yes, who=who, as_json=as_json)
    raise typer.Exit(asyncio.run(done))


def retract(
    ids: Annotated[list[int], typer.Argument(metavar="ID", help="As `send` prints it.")],
    reason: Annotated[str, typer.Option("--reason", help="Written into the row.")],
    wait: Annotated[
        float, typer.Option("--wait", min=0, help="Wait so many seconds for what comes of it.")
    ] = 0.0,
    who: As = None,
    as_json: Json = False,
) -> None:
    """
    Take notifications back: stopped wherever they are, cancelled at Novu if they are there.

    Exit code 0 only if all are there, and with --wait only if nobody has them.
    """
    from xnovu.cli.operate.retract import take_back

    done = take_back(ids, reason, wait=wait, who=who, as_json=as_json)
    raise typer.Exit(asyncio.run(done))


def replay(
    stage: Annotated[
        str, typer.Argument(help="Whose subject: ingest, hydrate, trigger, status, dead, retract.")
    ],
    since: Since = None,
    until: Until = None,
    seq: Annotated[
        int | None, typer.Option("--seq", min=1, help="From this number of the stream on.")
    ] = None,
    enterprise: Enterprise = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="CONSUMER|SUBJECT",
            help="To this consumer, by its name, or this subject, with a dot; and to no stage.",
        ),
    ] = None,
    rate: Annotated[
        float, typer.Option("--rate", min=0, help="Messages a second; 0: as fast as taken.")
    ] = 0.0,
    yes: Yes = False,
    who: As = None,
    as_json: Json = False,
) -> None:
    """
    Replay a subject into the stage that consumes it: `hydrate` goes to trigger once more.

    First shows how many; Ctrl-C stops it, and says how to go on. What was sent is not sent again.
    """
    from xnovu.cli.operate.moments import moment, transport_time
    from xnovu.cli.operate.replay import Wanted, replay

    wanted = Wanted(
        kind=stage,
        enterprise_id=enterprise,
        since=moment(since, "--since", transport_time),
        until=moment(until, "--until", transport_time),
        first=seq,
        to=to,
        rate=rate,
    )
    raise typer.Exit(asyncio.run(replay(wanted, yes=yes, who=who, as_json=as_json)))


@consumers.command("list", epilog=examples("xnovu consumers list"))
def list_consumers(as_json: Json = False) -> None:
    """List the mailboxes of stages and consumers: what each reads, and has not settled."""
    from xnovu.cli.operate.consumers import tell_all

    asyncio.run(tell_all(as_json=as_json))


@consumers.command(epilog=examples("xnovu consumers remove greeter --yes"))
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `consumers list` shows it.")],
    yes: Yes = False,
    who: As = None,
    as_json: Json = False,
) -> None:
    """Take a consumer of your own away that is gone, with the copies that wait for it."""
    from xnovu.cli.operate.consumers import remove as take_away

    raise typer.Exit(asyncio.run(take_away(name, yes=yes, who=who, as_json=as_json)))


def _wanted(
    numbers: list[int] | tuple[int, ...] | None,
    stage: str | None,
    enterprise: str | None,
    code: str | None,
    since: str | None,
    until: str | None,
) -> Any:
    from xnovu.cli.operate.letters import Wanted
    from xnovu.cli.operate.moments import moment, transport_time

    return Wanted(
        numbers=tuple(numbers or ()),
        stage=stage,
        enterprise_id=enterprise,
        code=code,
        since=moment(since, "--since", transport_time),
        until=moment(until, "--until", transport_time),
    )


def _payload(text: str | None) -> dict[str, Any] | None:
    """The payload of an option. Errors show no part of it."""
    if text is None:
        return None
    try:
        payload: Any = json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"--payload: {type(error).__name__}") from None
    if not isinstance(payload, dict):
        raise typer.BadParameter("--payload takes a JSON object")
    return cast("dict[str, Any]", payload)
