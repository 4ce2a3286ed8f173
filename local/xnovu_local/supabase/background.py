"""A local Supabase for a command that has no event loop of its own."""

from contextlib import ExitStack
from pathlib import Path
from typing import Self

from anyio.from_thread import start_blocking_portal

from xnovu_local.errors import LocalServerError
from xnovu_local.supabase.running import NAME, Realtime, RunningSupabase, running_supabase


class LocalSupabase:
    """
    A local Supabase on a thread of its own, over the database of a superuser's `dsn`.

    Its address and keys stay the same in its folder. See `running_supabase` for the rest.
    """

    def __init__(self, dsn: str, folder: Path, *, realtime: Realtime | None = None) -> None:
        self._context = lambda: running_supabase(dsn, folder, realtime=realtime)
        self._stack = ExitStack()
        self._running: RunningSupabase | None = None

    @property
    def running(self) -> RunningSupabase:
        """Its address, keys and faults while it runs."""
        if self._running is None:
            raise LocalServerError(f"the {NAME} does not run: start it first")
        return self._running

    def start(self) -> None:
        """Starts it and waits until it answers; raises LocalServerError or psycopg.Error."""
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal(name="xnovu-supabase"))
            supabase = portal.wrap_async_context_manager(self._context())
            self._running = stack.enter_context(supabase)
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """Stops it and waits until all of it is gone; the database is left as it is."""
        self._running = None
        self._stack.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
