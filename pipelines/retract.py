"""The retract stage as an app: ``faststream run pipelines.retract:app``."""

from xnovu.compose.apps import on_demand
from xnovu.compose.serve import serve
from xnovu.stages.retract import build, part

__all__ = ["build", "part"]
__getattr__ = on_demand(lambda: serve(part))
