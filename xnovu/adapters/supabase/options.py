"""How a Supabase project's REST API is used."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt


class SupabaseOptions(BaseModel):
    """
    How the store uses the project's REST API.

    ``timeout`` seconds for one call, waiting for a connection included; ``connections`` at most.
    ``max_rows`` is the project's own setting of that name: no call asks for more rows than it, for
    a longer answer would be cut off after its work was done.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["supabase"] = "supabase"
    timeout: PositiveFloat = 15.0
    connections: PositiveInt = 8
    max_rows: PositiveInt = 1000
