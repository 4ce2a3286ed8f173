"""A webhook as the provider: a signed HTTP POST for each call."""

from xnovu.adapters.webhook.options import WebhookOptions
from xnovu.adapters.webhook.provider import WebhookProvider

__all__ = ["WebhookOptions", "WebhookProvider"]
