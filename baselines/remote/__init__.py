"""Codecs that run in an environment of their own, as processes that stay up (docs/remote-codecs.md)."""

from baselines.remote.codec import Remote
from baselines.remote.estimate import RemoteEstimate

__all__ = ["Remote", "RemoteEstimate"]
