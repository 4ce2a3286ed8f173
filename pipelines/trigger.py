"""The trigger stage as an app: ``faststream run pipelines.trigger:app``."""

from xnovu.compose import on_demand, serve
from xnovu.stages.trigger import build, part

__all__ = ["build", "part"]
__getattr__ = on_demand(lambda: serve(part))
