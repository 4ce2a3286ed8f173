"""
The stages in their order, what each of them reads, and what each may do.

The one place that knows: every process and every command asks the settings.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import (
    BaseModel,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from xnovu.events import Rejected, RetractRequested, hydrated_by
from xnovu.policy import Policy
from xnovu.ports import Start

DEFAULTS: dict[str, dict[str, Any]] = {
    "ingest": {"batch": 500, "slots": 1, "pause_max": 1.0},
    "hydrate": {"batch": 500},
    "trigger": {"batch": 300, "slots": 3},
    "status": {"batch": 500},
    "retract": {"attempts": 20, "backoff": 2.0, "backoff_max": 15.0},
}

RETRACTING = "retract"
"""The stage beside the chain: it takes back what was sent."""


class Pipeline(BaseModel, extra="forbid", frozen=True):
    """
    The pipeline; ``between`` are stages of one's own after hydrate and before trigger, in order.

    What a stage tells has its own name as its kind, and the next one reads that.
    """

    between: tuple[str, ...] = ()

    @field_validator("between")
    @classmethod
    def _have_names_of_their_own(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """Each may be a stage's; from then on this process can read what they tell."""
        for name in names:
            hydrated_by(name)
        if len(set(names)) < len(names):
            raise ValueError("a stage is named twice")
        return names

    @property
    def downstream(self) -> Sequence[str]:
        """Those that a claimed row is to pass yet: their backlog bounds what ingest claims."""
        return ("hydrate", *self.between, "trigger", "status")

    @property
    def stages(self) -> Sequence[str]:
        """All of them: names that no consumer may have."""
        return ("ingest", *self.downstream, RETRACTING)

    @property
    def reads(self) -> Mapping[str, Sequence[str]]:
        """The kinds of event in each stage's mailbox; ingest has none."""
        chain = dict(zip(self.downstream, ("ingest", *self.downstream), strict=False))
        return {
            **{name: (before,) for name, before in chain.items()},
            "status": (chain["status"], Rejected.kind),
            RETRACTING: (RetractRequested.kind,),
        }

    @property
    def leading(self) -> Mapping[str, str]:
        """The stages whose giving up ends a row, with the kind of event that each reads."""
        before_the_end = self.downstream[:-1]
        return {"ingest": "ingest", **{name: self.reads[name][0] for name in before_the_end}}

    def start_of(self, name: str) -> Start:
        """Where a stage's mailbox begins that is new: one of one's own with what comes from now."""
        return "now" if name in self.between else "all"


def _default(name: str) -> Policy:
    return TypeAdapter(Policy).validate_python(DEFAULTS[name])


class Stages(BaseModel, extra="allow", frozen=True):
    """
    What each stage may do; a key that is not set keeps the stage's own default.

    What is more are stages of one's own, of whose names :class:`Pipeline` knows.
    """

    __pydantic_extra__: dict[str, Policy] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]
    ingest: Policy = _default("ingest")
    hydrate: Policy = _default("hydrate")
    trigger: Policy = _default("trigger")
    status: Policy = _default("status")
    retract: Policy = _default("retract")

    @field_validator("*", mode="before")
    @classmethod
    def _filled_up(cls, given: Any, info: ValidationInfo) -> Any:
        if isinstance(given, dict):
            return DEFAULTS[info.field_name or ""] | cast("dict[str, Any]", given)
        return given


def only_of(pipeline: Pipeline, stages: Any) -> Any:
    """
    The table of the stages as it is.

    Raises:
        ValidationError: there is one in it that is not in the pipeline.
    """
    if not isinstance(stages, dict):
        return stages
    named = cast("dict[str, Any]", stages)
    known = {*Stages.model_fields, *pipeline.between}
    if strangers := [name for name in named if name not in known]:
        raise ValidationError.from_exception_data(
            "stages",
            [{"type": "extra_forbidden", "loc": (name,), "input": None} for name in strangers],
        )
    return named
