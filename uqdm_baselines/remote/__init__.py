"""Codecs that run in an environment of their own, as processes that stay up (docs/remote-codecs.md)."""

from uqdm_baselines.remote.codec import Remote
from uqdm_baselines.remote.estimate import RemoteEstimate

__all__ = ["Remote", "RemoteEstimate"]
