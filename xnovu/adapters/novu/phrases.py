"""
What is told of Novu's words: phrases of its own, and fields of its API; nothing else of an answer.

An answer may repeat whatever was sent, in any case, encoding or length, so that no mask would find
it again. The phrases are those of Novu's API 3.15 and of the validators in it (class-validator,
Ajv, Zod), without the names, numbers and patterns that they put between their words.
"""

import re
from collections.abc import Iterable

from xnovu.redaction import MARK, phrases_in

REFUSALS = frozenset(
    {
        "error",
        "trigger_not_active",
        "no_tenant_found",
        "invalid_recipients",
        "no_workflow_steps_defined",
        "no_workflow_active_steps_defined",
        "subscriber_id_missing",
        "template_not_found",
    }
)
"""What Novu says, as the ``status`` of an event, that it did not take."""

_FIELDS = ("name", "to", "payload", "overrides", "transactionId", "actor", "tenant", "context")
"""Of an event, as Novu's API has them (TriggerEventRequestDto); what is below is the row's own."""

_TYPES = "(?:an? )?(?:string|number|integer|boolean|array|object|null|UUID|date|email|URL)"
_PHRASES = (
    *("workflow_not_found", *(status for status in REFUSALS if status != "error")),
    "payload validation (?:failed|error)",
    "validation (?:error|failed)",
    "PAYLOAD_VALIDATION_ERROR",
    "(?:bad request|unprocessable entity|internal server error|not acceptable)",
    "(?:request entity|payload) too large",
    "unsupported (?:media type|content type)",
    "(?:workflow|environment|subscriber|tenant|topic|layout|integration) (?:was )?not found",
    "template (?:was )?not found",
    "(?:workflow|trigger) is not active",
    "(?:limit|quota) (?:was )?(?:reached|exceeded)",
    "exceeds the maximum size of",
    "unexpected (?:token|end) (?:in|of) JSON(?: input)?",
    "is required",
    "is not valid",
    "is invalid",
    "must have required propert(?:y|ies)",
    "must not have additional properties",
    "must not have unevaluated (?:properties|items)",
    f"must be {_TYPES}(?: or {_TYPES})*",
    "must be (?:a |an )?valid(?: (?:email|URL|UUID|date|format|object|string|phone number))?",
    "must be (?:>=?|<=?)",
    "must be (?:equal to constant|equal to one of the allowed values|multiple of)",
    "must be one of the following values",
    "must be (?:longer|shorter) than or equal to",
    "must not be (?:less|greater) than",
    "must be at (?:least|most)",
    "must (?:match|not match) (?:format|pattern|regular expression|a schema in anyOf)",
    "must match exactly one schema in oneOf",
    'must match "(?:then|else)" schema',
    "must not be valid",
    "must not have (?:fewer|more) than",
    "must not have duplicate items",
    "must contain (?:at least|at most|no more than|only)",
    "should not (?:be empty|exist|be null or undefined)",
    "expected (?:string|number|integer|boolean|array|object|null|date), received"
    " (?:string|number|integer|boolean|array|object|null|undefined|date)",
    "(?:too small|too big): expected",
    "invalid (?:input|type|format|email|URL|UUID|date|enum value|option|string|phone number)",
    "unrecognized keys?",
    "duplicate (?:value|key|transactionId)",
)
_OWN = rf"(?:events[.\[]\d{{1,2}}\]?\.)?(?:{'|'.join(_FIELDS)})"
_FIELD = re.compile(rf"({_OWN})([.\[].*)?", re.DOTALL)
_SAID = "|".join(_PHRASES)
_KNOWN = re.compile(rf"(?<![\w.])(?:{_OWN} )?(?:{_SAID})(?!\w)", re.ASCII | re.IGNORECASE)


def told(text: str) -> str:
    """What is known of a text of Novu's."""
    return phrases_in(text, _KNOWN)


def violation(field: object, text: object) -> str:
    """A fault that Novu found: where, as far as its API names the place, and what."""
    return f"{_place(field)}: {told(text) if isinstance(text, str) else MARK}"


def joined(texts: Iterable[str]) -> str:
    """Several texts as one."""
    return "; ".join(told(text) for text in texts)


def _place(field: object) -> str:
    found = _FIELD.fullmatch(field) if isinstance(field, str) else None
    if not found:
        return MARK
    return f"{found[1]}.{MARK}" if found[2] else found[1]
