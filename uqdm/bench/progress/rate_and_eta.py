"""Progress counts, rates and time left, of each codec and of all together, and their text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

IMAGES = "images x settings"
"""The unit that measurements are counted in."""


@dataclass
class CodecProgress:
    """Counts of one codec's measurements: total, done, of which found stored, and failed; times of ``monotonic()``.

    ``base`` is the number that was done when work on the codec began. ``unit`` names what is counted.
    """

    title: str
    total: int
    done: int
    found: int
    failed: int = 0
    started: float | None = None
    ended: float | None = None
    base: int = 0
    unit: str = IMAGES

    @property
    def under_way(self) -> bool:
        """Whether work on the codec has begun and has not ended."""
        return self.started is not None and self.ended is None

    def begin(self, moment: float) -> None:
        """Notes the start of work; only the first call counts."""
        if self.started is None:
            self.started = moment
            self.base = self.done

    def seconds(self, now: float) -> float:
        """How long the work has taken, or took."""
        return 0.0 if self.started is None else (now if self.ended is None else self.ended) - self.started

    def rate(self, now: float) -> float | None:
        """Measurements per second; None while unknown."""
        seconds = self.seconds(now)
        return (self.done - self.base) / seconds if seconds > 0 and self.done > self.base else None

    def seconds_left(self, now: float) -> float | None:
        """Time left at the codec's own rate; None while unknown."""
        if self.done >= self.total:
            return 0.0
        rate = self.rate(now)
        return None if rate is None else (self.total - self.done) / rate

    def line(self, now: float) -> str:
        """Counts, rate and time left, in one line."""
        return f"{self.title} {self.counts()}, {rate_text(self.rate(now))}, {left_text(self.seconds_left(now))}"

    def counts(self) -> str:
        """Done of total, and failed."""
        return counts_text(self.done, self.total, self.failed)

    def to_json(self, now: float) -> dict[str, Any]:
        """The codec's entry in the status file."""
        counts = {"title": self.title, "total": self.total, "done": self.done, "found": self.found}
        return {**counts, "failed": self.failed, **speed(self.rate(now), self.seconds_left(now))}


class TotalProgress:
    """Counts of all codecs of a run together; where units differ, of the parts in the unit of the current work."""

    def __init__(self, every_part: list[CodecProgress], planned: float) -> None:
        self.unit = _current_unit(every_part)
        parts = [part for part in every_part if part.unit == self.unit]
        self._parts = parts
        self.total = sum(part.total for part in parts)
        self.done = sum(part.done for part in parts)
        self.found = sum(part.found for part in parts)
        self.failed = sum(part.failed for part in parts)
        self._started = min((part.started for part in parts if part.started is not None), default=planned)
        self._base = sum(part.base if part.started is not None else part.done for part in parts)

    def rate(self, now: float) -> float | None:
        """Measurements per second since work on the first codec began; None while unknown."""
        seconds = now - self._started
        return (self.done - self._base) / seconds if seconds > 0 and self.done > self._base else None

    def seconds_left(self, now: float) -> float | None:
        """Time until the last codec ends; None while one of them has no rate, since it may be the slowest."""
        left = [part.seconds_left(now) for part in self._parts]
        return None if None in left else max((seconds for seconds in left if seconds is not None), default=0.0)

    def line(self, now: float) -> str:
        """Counts, rate and time left, in one line."""
        counts = counts_text(self.done, self.total, self.failed, f" {self.unit}")
        return f"{counts}, {rate_text(self.rate(now))}, {left_text(self.seconds_left(now))}"


def _current_unit(parts: list[CodecProgress]) -> str:
    """The unit of the first part under way, or else of the first that is not done, or else of the first."""
    waiting = [part for part in parts if part.done < part.total]
    of = [*(part for part in parts if part.under_way), *waiting, *parts]
    return of[0].unit if of else IMAGES


def counts_text(done: int, total: int, failed: int, unit: str = "") -> str:
    """Done of total, and failed.

    >>> counts_text(1250, 4000, 3)
    '1,250/4,000, 3 failed'
    """
    return f"{done:,}/{total:,}{unit}" + (f", {failed:,} failed" if failed else "")


def rate_text(rate: float | None) -> str:
    """Measurements per second.

    >>> rate_text(0.042), rate_text(1234.5), rate_text(None)
    ('0.042/s', '1,234.5/s', '?/s')
    """
    return "?/s" if rate is None else f"{rate:,.1f}/s" if rate >= 1 else f"{rate:.2g}/s"


def left_text(seconds: float | None) -> str:
    """Time left.

    >>> left_text(30), left_text(None)
    ('30 s left', '? left')
    """
    return "? left" if seconds is None else f"{duration(seconds)} left"


def duration(seconds: float) -> str:
    """A duration in the units that suit it.

    >>> duration(42), duration(3700), duration(200_000)
    ('42 s', '1 h 02 min', '2 d 7 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def speed(rate: float | None, seconds_left: float | None) -> dict[str, float | None]:
    """Measurements per second and seconds left, rounded for the status file; None while unknown."""
    return {
        "rate_per_s": None if rate is None else round(rate, 4),
        "seconds_left": None if seconds_left is None else round(seconds_left, 1),
    }
