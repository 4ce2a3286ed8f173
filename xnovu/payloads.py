"""Checks of a payload against the JSON Schema its workflow registered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs

from xnovu.errors import Permanent
from xnovu.events import Workflow
from xnovu.redaction import redact

Schema = dict[str, Any] | bool

LISTED = 20
"""How many violations are told one by one."""


@dataclass(slots=True)
class PayloadChecker:
    """Compiles each workflow's schema once, and again when it has changed."""

    _compiled: dict[tuple[str, str], tuple[Schema, jsonschema_rs.Validator]] = field(
        default_factory=lambda: {}
    )

    def check(self, workflow: Workflow, payload: Mapping[str, Any]) -> None:
        """
        Pass, or list every violation with its path (RFC 6901), never with the payload's values.

        Raises:
            Permanent: ``payload_invalid``, or ``schema_invalid`` if the schema itself is no schema.
        """
        if workflow.payload_schema is None:
            return
        validator = self._validator(workflow, workflow.payload_schema)
        if not validator.is_valid(payload):
            raise _refusal(workflow, validator, payload)

    def _validator(self, workflow: Workflow, schema: Schema) -> jsonschema_rs.Validator:
        name = (workflow.enterprise_id, workflow.workflow_key)
        known = self._compiled.get(name)
        if known and known[0] == schema:
            return known[1]
        validator = _compile(workflow, schema)
        self._compiled[name] = (schema, validator)
        return validator


def _compile(workflow: Workflow, schema: Schema) -> jsonschema_rs.Validator:
    try:
        return jsonschema_rs.validator_for(schema, retriever=_refuse, mask="the value")
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise Permanent(
            f"payload_schema of workflow {workflow.workflow_key!r} is not a usable JSON Schema; "
            "mend it in notify.ent_notification_workflow and re-drive the notification",
            code="schema_invalid",
        ) from error


def _refuse(uri: str) -> Any:
    """A schema of one enterprise must not make us fetch addresses."""
    raise ValueError(f"remote reference {uri!r} is not followed")


def _refusal(
    workflow: Workflow, validator: jsonschema_rs.Validator, payload: Mapping[str, Any]
) -> Permanent:
    found = [_told(error) for error in validator.iter_errors(payload)]
    told = found[:LISTED] + ([f"and {len(found) - LISTED} more"] if len(found) > LISTED else [])
    return Permanent(
        f"payload breaks the schema of workflow {workflow.workflow_key!r}: {'; '.join(told)}",
        code="payload_invalid",
        violations=told,
    )


def _told(error: jsonschema_rs.ValidationError) -> str:
    """Names in a payload may be private, too: a map of mail addresses, say."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in error.instance_path)
    return redact(f"/{'/'.join(steps)}: {error.message}", foreign=False)
