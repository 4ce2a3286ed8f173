"""How a Supabase project's REST API and its Realtime are used."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

Enterprise = Annotated[str, Field(pattern=r"^[\w.:@-]{1,64}$")]
"""What can stand in a filter and in a channel's name without being quoted."""

MOST_CHANNELS = 100
"""Of one connection (Supabase's ``max_channels_per_client``)."""


def _few_enough(enterprises: frozenset[str]) -> frozenset[str]:
    if len(enterprises) > MOST_CHANNELS:
        raise PydanticCustomError(
            "too_many_channels",
            "{count} enterprises, and a Realtime connection holds {most} channels:"
            " name no more, or none, and one channel tells of all",
            {"count": len(enterprises), "most": MOST_CHANNELS},
        )
    return enterprises


Enterprises = Annotated[frozenset[Enterprise], AfterValidator(_few_enough)]
"""Each of them gets a channel; none: one channel for all."""


class SupabaseOptions(BaseModel):
    """
    How the store uses the project's REST API.

    ``timeout`` seconds for one call, waiting for a connection included; ``connections`` at most.
    ``max_rows`` is the project's own setting of that name: no call asks for more rows than it, for
    a longer answer would be cut off after its work was done.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["supabase"] = "supabase"
    timeout: float = Field(default=15.0, gt=0, le=3600, allow_inf_nan=False)
    connections: int = Field(default=8, ge=1, le=1000)
    max_rows: int = Field(default=1000, ge=1, le=1_000_000)


class RealtimeOptions(BaseModel):
    """
    Whose rows are listened for: those of ``enterprises``, by a channel for each, else everyone's.

    They should be those whose rows this process claims: others' rows are found by the sweep, and
    taken for a sign that Realtime is mute.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["realtime"] = "realtime"
    enterprises: Enterprises = frozenset()
