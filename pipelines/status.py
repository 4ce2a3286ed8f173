"""The status stage as an app: ``faststream run pipelines.status:app``."""

from xnovu.compose import on_demand, serve
from xnovu.stages.status import build, part

__all__ = ["build", "part"]
__getattr__ = on_demand(lambda: serve(part))
