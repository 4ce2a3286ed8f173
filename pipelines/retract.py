"""The retract stage as an app: ``faststream run pipelines.retract:app``."""

from xnovu.compose import on_demand, serve
from xnovu.stages.retract import build, part

__all__ = ["build", "part"]
__getattr__ = on_demand(lambda: serve(part))
