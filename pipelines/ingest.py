"""The ingest stage as an app: ``faststream run pipelines.ingest:app``."""

from xnovu.compose import on_demand, serve
from xnovu.stages.ingest import build, part

__all__ = ["build", "part"]
__getattr__ = on_demand(lambda: serve(part))
