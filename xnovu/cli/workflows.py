"""Payload schemas, checked before a row needs them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import ValidationError
from rich.text import Text

from xnovu.cli.console import err, out, print_json
from xnovu.compose.kit import opened_store
from xnovu.compose.settings import load
from xnovu.desk import Registered
from xnovu.errors import ConfigurationError
from xnovu.events import Workflow
from xnovu.payloads import PayloadChecker, RowOptions
from xnovu.sql.misfits import misfit


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with the schema of a workflow, with a place in it; None: nothing."""

    enterprise_id: str
    workflow_key: str
    code: str | None = None
    message: str | None = None


async def check_registered(keys: Sequence[str], enterprise: str | None, *, as_json: bool) -> int:
    """Check the schemas of workflows in use; the exit code is 1 if one is of no use."""
    settings = load()
    async with opened_store(settings, "workflows") as store:
        found = await store.registered(enterprise)
    chosen = [each for each in found if not keys or each.workflow_key in keys]
    missing = sorted(set(keys) - {each.workflow_key for each in chosen})
    for key in missing:
        err.print(f"no workflow {key} is registered and in use")
    return await _checked(chosen, settings.rows, as_json=as_json) or bool(missing)


async def check_file(file: Path, *, as_json: bool) -> int:
    """Check a schema that is not registered yet."""
    schema = Registered("", str(file), _read(file))
    return await _checked([schema], load().rows, as_json=as_json)


def _read(file: Path) -> object:
    try:
        return json.loads(file.read_bytes())
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfigurationError(f"{file} is no JSON: {error.msg} ({place})") from None
    except (OSError, ValueError, RecursionError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        raise ConfigurationError(f"{file} cannot be read: {why}") from None


async def _checked(found: Iterable[Registered], bounds: RowOptions, *, as_json: bool) -> int:
    checker = PayloadChecker(bounds)
    try:
        findings = [await _finding(checker, each) for each in found]
    finally:
        await checker.close()
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        _print(findings)
    return 1 if any(finding.code for finding in findings) else 0


async def _finding(checker: PayloadChecker, of: Registered) -> Finding:
    name = (of.enterprise_id, of.workflow_key)
    try:
        workflow = Workflow(
            enterprise_id=name[0], workflow_key=name[1], payload_schema=of.payload_schema
        )
    except ValidationError as error:
        return Finding(*name, "schema_invalid", misfit(error))
    wrong = await checker.examine(workflow)
    return Finding(*name, wrong.code, str(wrong)) if wrong else Finding(*name)


def _print(findings: Sequence[Finding]) -> None:
    for each in findings:
        verdict = Text(f"{each.code}: {each.message}", "red") if each.code else Text("ok", "green")
        out.print(Text(f"{each.enterprise_id} {each.workflow_key}".strip()), verdict)
    if not findings:
        out.print("no workflows: nothing to check")
