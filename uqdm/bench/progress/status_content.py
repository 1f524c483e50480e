"""Checks the content of ``status.json``: a file that is damaged or of another program counts as absent."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

_Check = Callable[[Any], bool]

_LARGEST = 2**63 - 1


def is_status(content: Any) -> bool:
    """Whether this is the content of a status file: every key that is read later has the expected type.

    >>> is_status({"what": "score demo", "state": "running", "done": 1, "total": 2, "codecs": {}})
    True
    >>> is_status({"what": "score demo", "state": "running", "done": "1", "total": 2, "codecs": {}})
    False
    """
    return (
        _fits(content, needed=_NEEDED, optional=_OPTIONAL)
        and all(_fits(codec, needed=_CODEC, optional=_SPEED) for codec in content["codecs"].values())
        and all(_fits(shard, needed=_SHARD) for shard in content.get("slowest_shards", []))
        and all(isinstance(text, str) for text in content.get("messages", []))
    )


def is_count(value: Any) -> bool:
    """Whether this is a count: an integer of at least 0 that 64 bits hold."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def _fits(content: Any, *, needed: Mapping[str, _Check], optional: Mapping[str, _Check] | None = None) -> bool:
    if not isinstance(content, dict) or not needed.keys() <= content.keys():
        return False
    checks = {**needed, **(optional or {})}
    return all(check(content[key]) for key, check in checks.items() if key in content)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_duration(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= _LARGEST and math.isfinite(value)


def _is_speed(value: Any) -> bool:
    return value is None or _is_duration(value)


_SPEED: Mapping[str, _Check] = {"rate_per_s": _is_speed, "seconds_left": _is_speed}
_NEEDED: Mapping[str, _Check] = {
    "what": _is_text,
    "state": _is_text,
    "done": is_count,
    "total": is_count,
    "codecs": lambda value: isinstance(value, dict),
}
_OPTIONAL: Mapping[str, _Check] = {
    **_SPEED,
    "failed": is_count,
    "unit": _is_text,
    "reason": _is_text_or_none,
    "host": _is_text_or_none,
    "pid": lambda value: value is None or is_count(value),
    "slowest_shards": lambda value: isinstance(value, list),
    "messages": lambda value: isinstance(value, list),
}
_CODEC: Mapping[str, _Check] = {"title": _is_text, "done": is_count, "total": is_count, "failed": is_count}
_SHARD: Mapping[str, _Check] = {
    "codec": _is_text,
    "setting": _is_text,
    "host": _is_text,
    "start": is_count,
    "stop": is_count,
    "seconds": _is_duration,
}
