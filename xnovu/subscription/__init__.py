"""XNovu inside a Python service: one enterprise's notifications, without a broker or a command."""

from xnovu.subscription.callbacks import NotificationFailed
from xnovu.subscription.lifecycle import SubscriptionManager, SubscriptionStatus
from xnovu.subscription.queue import QueueConfig

__all__ = ["NotificationFailed", "QueueConfig", "SubscriptionManager", "SubscriptionStatus"]
