"""XNovu's functions as the database itself lists them, and what they may be asked with."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

OURS = """
SELECT p.oid::regprocedure::text AS signature, p.proname::text AS name, p.prosecdef AS definer,
       p.prorettype = 'trigger'::regtype AS is_trigger, coalesce(p.proconfig, '{}') AS settings,
       ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) AS t) AS types,
       ARRAY(SELECT coalesce(r.rolname::text, 'PUBLIC')
             FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS entry
             LEFT JOIN pg_roles r ON r.oid = entry.grantee
             WHERE entry.grantee <> p.proowner) AS granted
FROM pg_proc p WHERE p.pronamespace = 'notify'::regnamespace ORDER BY 1"""
SENDERS = {"enqueue", "xnovu_misfit", "xnovu_refuse_unknown"}
"""The only ones that work in their caller's own right."""
PLAIN = {"transaction_id", "xnovu_told"}
"""For stages, too, but computed of what it is given."""
UUID = "'00000000-0000-0000-0000-000000000000'"
KEY = (
    '{"id": 1, "enterprise_id": "acme", "generation": 0, "claims": 1, "token": "x", "payload": {},'
    ' "error_details": {"code": "x"}, "outcome": "stopped"}'
)
VALUES = {
    "jsonb": ["NULL", "'[]'", "'{}'", "'[{}]'", "'[null]'", "'\"x\"'", "'null'", f"'[{KEY}]'"],
    "text": ["NULL", "''", "'acme'", "$$'; DROP TABLE notify.ent_notification; --$$", "'1ms'"],
    "uuid": ["NULL", UUID],
    "integer": ["NULL", "0", "-1", "2147483647"],
    "bigint": ["NULL", "0", "1", "-9223372036854775808"],
    "double precision": ["NULL", "0", "-1", "1e300", "'NaN'", "'infinity'"],
    "boolean": ["NULL", "true", "false"],
    "timestamp with time zone": ["NULL", "'infinity'", "now()"],
}
"""Of every type that a function takes: nothing, too little, too much, what is not meant."""


def calls(function: dict[str, Any]) -> Iterator[str]:
    """Statements that call it: all at its first value, then one argument at a time with each."""
    choices = [VALUES.get(each, ["NULL"]) for each in function["types"]]
    plain = [f"({each[-1]})::{kind}" for each, kind in zip(choices, function["types"], strict=True)]
    given = [plain]
    for place, (values, kind) in enumerate(zip(choices, function["types"], strict=True)):
        given += [[*plain[:place], f"({it})::{kind}", *plain[place + 1 :]] for it in values]
    for arguments in given:
        yield f"SELECT * FROM notify.{function['name']}({', '.join(arguments)})"


def one_call(function: dict[str, Any]) -> str:
    return next(islice(calls(function), 1))
