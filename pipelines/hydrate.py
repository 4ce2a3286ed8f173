"""The hydrate stage as an app: ``faststream run pipelines.hydrate:app``."""

from xnovu.compose.apps import on_demand
from xnovu.compose.serve import serve
from xnovu.stages.hydrate import build, part

__all__ = ["build", "part"]
__getattr__ = on_demand(lambda: serve(part))
