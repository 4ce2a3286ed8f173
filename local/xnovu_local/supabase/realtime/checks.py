"""
What the database has against a subscription.

Source: supabase/realtime, the trigger `realtime.subscription_check_filters`, and
lib/extensions/postgres_cdc_rls/subscriptions.ex.
"""

import psycopg

from .database import Database, Table
from .keys import Claims
from .subscriptions import Subscription


async def complaint(
    database: Database, publication: str, subscription: Subscription, claims: Claims
) -> str | None:
    """The server's words, or None if there is nothing against it."""
    try:
        published = await database.published(publication, subscription.schema, subscription.table)
        if not published:
            return (
                "Unable to subscribe to changes with given parameters. Please check Realtime is"
                f" enabled for the given connect parameters: {subscription.shown()}"
            )
        for each in published:
            table = await database.table(each["schema"], each["table"], claims["role"])
            await _check(database, table, subscription)
    except psycopg.OperationalError:
        raise
    except (psycopg.Error, ValueError) as error:
        said = error.diag.message_primary if isinstance(error, psycopg.Error) else error
        return (
            "Unable to subscribe to changes with given parameters. An exception happened so please"
            f" check your connect parameters: {subscription.shown()}."
            f" Exception: ERROR P0001 (raise_exception) {said}"
        )
    return None


async def _check(database: Database, table: Table, subscription: Subscription) -> None:
    """Raises ValueError on a column that the role may not read, psycopg.Error on a bad value."""
    selectable = {column.name for column in table.columns.values() if column.selectable}
    for each in subscription.filters:
        if each.column not in selectable:
            raise ValueError(f"invalid column for filter {each.column}")
        await database.holds(table, {each.column: None}, [each])
    for name in subscription.select or ():
        if name not in selectable:
            raise ValueError(f"invalid column for select {name}")
