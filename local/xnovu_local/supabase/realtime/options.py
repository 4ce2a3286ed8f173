"""How a local Realtime behaves; the defaults are the hosted one's, but for speed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RealtimeOptions:
    """
    All times are seconds.

    publication: whose tables' changes are told.
    poll: the longest time from a commit to its being told (0.5 at Supabase).
    system_delay: from the answer to a join until the database listens for it.
    resubscribe_delay: until that is done anew after a new token or a lost database (1 to 3).
    join_error_delay: before a join is refused (5 at Supabase).
    max_record_bytes: a larger row is told without its larger values.
    """

    publication: str = "supabase_realtime"
    poll: float = 0.05
    system_delay: float = 0.0
    resubscribe_delay: float = 0.1
    join_error_delay: float = 5.0
    max_record_bytes: int = 1024 * 1024
