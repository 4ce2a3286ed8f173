"""The consumer beside the pipeline as an app: ``faststream run pipelines.analytics:app``."""

from xnovu.compose.apps import on_demand
from xnovu.compose.serve import serve
from xnovu.consuming.analytics import part

__all__ = ["part"]
__getattr__ = on_demand(lambda: serve(part))
