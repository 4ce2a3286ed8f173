"""The workflows the local Novu knows: what they send, and which of them refuse."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, cast

import jsonschema_rs
from pydantic import ConfigDict, Field, TypeAdapter

MAX_OPEN = 10_000
Channel = Literal["in_app", "email", "sms", "push", "chat"]


@dataclass(frozen=True, slots=True)
class Step:
    """One message of a workflow, sent `delay` seconds after the step before it."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    channel: Channel = "in_app"
    delay: Annotated[float, Field(ge=0)] = 0.0
    active: bool = True


@dataclass(frozen=True, slots=True)
class Stage:
    """The messages of a workflow that go out together, `at` seconds after the fan-out."""

    at: float
    channels: tuple[Channel, ...]


@dataclass(frozen=True)
class Workflow:
    """
    One workflow.

    refuses: the status every trigger of it is answered with instead of `processed`; with
        "error" a bulk item carries the text `error` and a single trigger gets a 400.
    payload_schema: the JSON Schema a payload has to meet.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    key: str
    active: bool = True
    refuses: str | None = None
    error: str = "the workflow refuses"
    payload_schema: dict[str, Any] | None = None
    steps: tuple[Step, ...] = field(default=(Step(),))

    def __post_init__(self) -> None:
        _ = self._validator  # a broken schema is told here, not with the first trigger

    @cached_property
    def refusal(self) -> str | None:
        """The status other than `processed` that a trigger of it gets, if any."""
        if self.refuses is not None:
            return self.refuses
        if not self.active:
            return "trigger_not_active"
        if not self.steps:
            return "no_workflow_steps_defined"
        return None if self.stages else "no_workflow_active_steps_defined"

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        moments: dict[float, tuple[Channel, ...]] = {}
        at = 0.0
        for step in (step for step in self.steps if step.active):
            at += step.delay
            moments[at] = (*moments.get(at, ()), step.channel)
        return tuple(Stage(at, channels) for at, channels in moments.items())

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        every: list[Channel] = [one for stage in self.stages for one in stage.channels]
        return tuple(sorted(set(every), key=every.index))

    @cached_property
    def _validator(self) -> jsonschema_rs.Validator | None:
        return jsonschema_rs.validator_for(self.payload_schema) if self.payload_schema else None

    def payload_errors(self, payload: object) -> list[dict[str, Any]]:
        """What is wrong with a payload, as Novu's PayloadValidationErrorDto."""
        if self._validator is None:
            return []
        return [_payload_error(error) for error in self._validator.iter_errors(payload)]


def _payload_error(error: jsonschema_rs.ValidationError) -> dict[str, Any]:
    return {
        "field": ".".join(str(part) for part in error.instance_path) or "payload",
        "message": error.message,
        "value": error.instance,
        "schemaPath": "#/" + "/".join(str(part) for part in error.schema_path),
    }


class Workflows:
    """All workflows: open (any key will do) until some are registered, then only those."""

    __slots__ = ("_known", "_open")

    def __init__(self, known: Iterable[Workflow] = ()) -> None:
        self._known: dict[str, Workflow] = {}
        self._open: dict[str, Workflow] = {}
        self.replace(known)

    def replace(self, known: Iterable[Workflow]) -> None:
        """Forgets the registered workflows and takes these; none at all opens it again."""
        self._known = {workflow.key: workflow for workflow in known}
        self._open.clear()

    def find(self, key: str) -> Workflow | None:
        if self._known:
            return self._known.get(key)
        return self._open.get(key) or self._opened(key)

    def _opened(self, key: str) -> Workflow:
        workflow = Workflow(key)
        if len(self._open) < MAX_OPEN:  # keys from outside must not fill the memory
            self._open[key] = workflow
        return workflow

    def shown(self) -> dict[str, Any]:
        shown = [asdict(workflow) for workflow in self._known.values()]
        return {"mode": "closed" if self._known else "open", "workflows": shown}


_WORKFLOWS = TypeAdapter(list[Workflow])


def parsed_workflows(document: object) -> list[Workflow]:
    """Workflows from JSON, a list or `{"workflows": [...]}`; raises pydantic's ValidationError."""
    listed = document
    if isinstance(document, dict):
        listed = cast("dict[str, Any]", document).get("workflows")
    return _WORKFLOWS.validate_python(listed)
