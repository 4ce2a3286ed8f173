"""How rows are taken."""

from pydantic import BaseModel, Field


class TableOptions(BaseModel, extra="forbid", frozen=True):
    """
    How rows are taken. All times are seconds.

    ``backlog`` is how many messages may be on their way before no more rows are claimed (of
    retractions as many again, so that none waits behind what it is to stop); of those on which
    nobody is at work only as many as keep the workers busy. ``lease`` is how long
    a claimed row has to reach its end before it is claimed again, so it must be longer than the
    stages need for a whole backlog. ``sweep_idle`` bounds by how much a schedule can be missed of
    which no wake-up has told.
    """

    lease: float = Field(default=300.0, gt=0, le=604_800, allow_inf_nan=False)
    backlog: int = Field(default=5000, gt=0, le=10_000_000)
    sweep_busy: float = Field(default=0.25, gt=0, le=3600, allow_inf_nan=False)
    sweep_idle: float = Field(default=0.75, gt=0, le=3600, allow_inf_nan=False)
