"""What enterprises may have, and what a row waits for, in terms of the database's functions."""

from collections.abc import Mapping, Sequence
from typing import Any

from xnovu.desk import Limits, Registered
from xnovu.sql import rows as read
from xnovu.sql.functions import Functions

PAGE = 100
"""Workflows asked for at once: each may have a large schema."""


class SqlLimits:
    """The part of ``Desk`` that is about waiting; see :class:`xnovu.sql.store.SqlStore`."""

    def __init__(self, functions: Functions, enterprise_id: str | None) -> None:
        self._functions = functions
        self.enterprise_id = enterprise_id

    async def waiting(self, notification_id: int) -> Mapping[str, Any] | None:
        found = await self._functions.call(
            "waiting", notification_id=notification_id, of_enterprise=self.enterprise_id
        )
        return read.json_of(found[0]) if found and found[0] else None

    async def registered(self, enterprise_id: str | None = None) -> Sequence[Registered]:
        whose, found = self.enterprise_id or enterprise_id, list[Registered]()
        while len(found) % PAGE == 0:
            part = await self._functions.call(
                "workflows", of_enterprise=whose, skip=len(found), most=PAGE
            )
            schemas = [read.json_of(row["payload_schema"]) for row in part]
            found += [
                Registered(row["enterprise_id"], row["workflow_key"], schema)
                for row, schema in zip(part, schemas, strict=True)
            ]
            if not part:
                break
        return found

    async def limits(self, enterprise_id: str | None = None) -> Sequence[Limits]:
        whose = self.enterprise_id or enterprise_id
        found = await self._functions.call("limits", of_enterprise=whose)
        return [Limits(**row) for row in found]

    async def limit(
        self, enterprise_id: str, changes: Mapping[str, Any], workflow_key: str | None = None
    ) -> bool:
        whose = self.enterprise_id or enterprise_id
        if workflow_key is None:
            await self._functions.call(
                "limit_enterprise", of_enterprise=whose, changes=dict(changes)
            )
            return True
        (lines,) = await self._functions.call(
            "limit_workflow", of_enterprise=whose, workflow=workflow_key, changes=dict(changes)
        )
        return bool(lines)
