"""Targets: the rate or quality that a setting is searched for, as in ``bpp=0.5``, ``lpips<=0.1``, ``mean_bpp=0.5``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from uqdm.bench.run.setting_families import AT
from uqdm.bench.run.sweeps import settings_of
from uqdm.codec import Parameter, ParameterError
from uqdm.registry import suggest

if TYPE_CHECKING:
    from uqdm.bench.metrics import Metric

MEAN = "mean_"
"""Before the quantity of a target for the mean over all images; without it, every image has a search of its own."""
RATES = ("bpp", "bytes")
"""Quantities that are rates: bits per pixel of a file, and its bytes."""
MOST_OFF_SHARE = 0.1
"""A value is near a target with ``=`` if it is at most this share of the target away."""
MOST_OFF_DB = 0.5
"""The same for quantities in dB, in dB."""
FORMS = "bpp=0.5, bytes=4000, psnr_db=35, 'lpips<=0.1' or mean_bpp=0.5"
"""Examples of targets, for messages."""

_TARGET = re.compile(r"\s*([A-Za-z_]\w*)\s*(<=|>=|=)\s*([^<>=]+)")
_CONDITION = re.compile(r"\s*[A-Za-z_]\w*\s*[<>=]")


@dataclass(frozen=True)
class Found:
    """What a setting gives: the value of the target's quantity, and the bytes (of a mean, their mean) that it costs."""

    value: float
    n_bytes: float


@dataclass(frozen=True)
class Target:
    """A condition on one quantity, for each image or (``of_mean``) for the mean over all images.

    ``kind`` says which values of a metric are better, or that the quantity is a rate. Of the values that meet a
    condition with ``<=`` or ``>=``, the best one has the lowest rate where the condition asks for quality, and the
    highest rate where it limits the rate.

    >>> target = Target("bpp", "<=", 0.5, kind="rate")
    >>> target.is_met(Found(0.49, 251)), target.is_met(Found(0.51, 261))
    (True, False)
    >>> target.is_better(Found(0.49, 251), than=Found(0.4, 205))
    True
    """

    quantity: str
    relation: str
    value: float
    of_mean: bool = False
    kind: Literal["rate", "higher", "lower"] = "rate"
    unit: str = ""

    @property
    def text(self) -> str:
        """The text that :func:`targets_of` reads."""
        return f"{self.name}{self.relation}{_plain(self.value)}"

    @property
    def name(self) -> str:
        """The quantity, with :data:`MEAN` where the target is for the mean."""
        return f"{MEAN if self.of_mean else ''}{self.quantity}"

    @property
    def is_rate(self) -> bool:
        """Whether the quantity is a rate, which needs no picture."""
        return self.kind == "rate"

    def rate(self, n_bytes: float, n_pixels: int) -> Found:
        """What a file gives if the quantity is a rate."""
        return Found(8 * n_bytes / n_pixels if self.quantity == "bpp" else n_bytes, n_bytes)

    def is_met(self, found: Found) -> bool:
        """Whether a condition with ``<=`` or ``>=`` holds; whether a value is near one with ``=``."""
        if self.relation == "=":
            return abs(found.value - self.value) <= self.most_off
        return found.value <= self.value if self.relation == "<=" else found.value >= self.value

    def is_reached(self, best: Found, tries: Iterable[Found]) -> bool:
        """Whether the best of some tries answers the target.

        It does if it meets the condition. A target with ``=`` is also answered by the nearest value if the tries have
        it between them, however coarse their steps are: :meth:`error` tells how far off that is.

        >>> target, tries = Target("bpp", "=", 0.5), [Found(0.3, 150), Found(0.8, 410)]
        >>> target.is_met(tries[0]), target.is_reached(tries[0], tries), target.is_reached(tries[1], tries[1:])
        (False, True, False)
        """
        if self.is_met(best):
            return True
        values = [found.value for found in tries if not math.isnan(found.value)]
        return self.relation == "=" and bool(values) and min(values) <= self.value <= max(values)

    @property
    def most_off(self) -> float:
        """The largest distance of a value that is near a target with ``=``, in the unit of the quantity."""
        return MOST_OFF_DB if self.unit == "dB" else MOST_OFF_SHARE * abs(self.value)

    def error(self, found: Found) -> float:
        """How far off a value is: relative to the target for a rate, else in the unit of the metric."""
        return found.value / self.value - 1 if self.is_rate else found.value - self.value

    def is_better(self, one: Found, than: Found | None) -> bool:
        """Whether a value answers the target better than another."""
        return than is None or self._rank(one) < self._rank(than)

    def _rank(self, found: Found) -> tuple[float, float, float]:
        """Orders values, the best first."""
        distance = math.inf if math.isnan(found.value) else abs(found.value - self.value)
        if self.relation == "=":
            return 0, distance, found.n_bytes
        if not self.is_met(found):
            return 1, distance, found.n_bytes
        return 0, found.n_bytes if self._asks_for_quality else -found.n_bytes, distance

    @property
    def _asks_for_quality(self) -> bool:
        return self.relation == ("<=" if self.kind == "lower" else ">=")


def split_target(text: str) -> tuple[str, str | None]:
    """A request without its target, and the target; an ``@`` inside of a parameter's value is none.

    >>> split_target("jpeg-tuned:subsampling=4:4:4@bpp=0.5"), split_target("uqdm:model=/data/a@b/model")
    (('jpeg-tuned:subsampling=4:4:4', 'bpp=0.5'), ('uqdm:model=/data/a@b/model', None))
    """
    before, at, target = text.rpartition(AT)
    if not at or (":" in before and not is_target(target)):
        return text, None
    return before.removesuffix(","), target


def is_target(text: str) -> bool:
    """Whether a text reads as a condition, correct or not; names of points and parts of paths do not.

    >>> is_target("bpp=0.5"), is_target("step 2/denoise")
    (True, False)
    """
    return _CONDITION.match(text) is not None


def targets_of(codec: str, text: str) -> list[Target]:
    """The targets of a text; its value may be a list or a range, as those of parameters.

    Raises :class:`~uqdm.codec.ParameterError`, which names the codec, for a malformed condition, an unknown quantity,
    and a metric that cannot be computed here.

    >>> [target.text for target in targets_of("jpeg", "bpp=0.25|0.50")]
    ['bpp=0.25', 'bpp=0.5']
    >>> targets_of("jpeg", "bp=0.5")
    Traceback (most recent call last):
    uqdm.codec.ParameterError: codec jpeg: target bp=0.5: no rate or metric 'bp' (did you mean bpp?); write a target ...
    """
    found = _TARGET.fullmatch(text)
    if found is None:
        raise ParameterError(f"codec {codec}: target {text!r}: expected a condition, such as {FORMS}")
    written, relation, values = found[1], found[2], found[3].strip()
    of_mean, quantity, metric = _quantity(codec, text, written)
    if relation == "=" and metric is not None and metric.direction == "lower":
        raise ParameterError(
            f"codec {codec}: target {text}: {metric.label} is a distance, of which less is better; "
            f"write {written}<={values}"
        )
    listed = settings_of(codec, {written: values}, [Parameter(written, float, 0.0)])
    numbers = [_number(codec, text, each[written]) for each in listed]
    _check_range(codec, text, metric, numbers)
    kind, unit = ("rate", "") if metric is None else (metric.direction, metric.unit)
    return [Target(quantity, relation, number, of_mean, kind, unit) for number in numbers]  # type: ignore[arg-type]


def _quantity(codec: str, text: str, written: str) -> tuple[bool, str, Metric | None]:
    """Whether a target is for the mean, its quantity, and the metric that this is, None for a rate."""
    from uqdm.bench.metrics import all_metrics  # commands that name no target do without

    metrics = {metric.name: metric for metric in all_metrics()}
    known = [*RATES, *metrics]
    of_mean = written not in known and written.startswith(MEAN)
    quantity = written.removeprefix(MEAN) if of_mean else written
    if quantity not in known:
        raise ParameterError(
            f"codec {codec}: target {text}: no rate or metric {quantity!r}{suggest(quantity, known)}; write a target "
            f"for one of {', '.join(known)}, or {MEAN} before it for the mean over images"
        )
    metric = metrics.get(quantity)
    lack = None if metric is None else _lack(metric)
    if lack is not None:
        raise ParameterError(f"codec {codec}: target {text}: {quantity} cannot be computed here: {lack}")
    return of_mean, quantity, metric


def _lack(metric: Metric) -> str | None:
    """What a metric lacks here, after an attempt to download it."""
    from uqdm.bench.metrics import fetch_fault, lack_of

    lack = lack_of(metric)
    if lack is None:
        return None
    fault = fetch_fault(metric)
    return lack_of(metric) if fault is None else f"{lack} ({fault})"


def _number(codec: str, text: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ParameterError(f"codec {codec}: target {text}: {value!r} is no number; write a target such as {FORMS}")
    return number


def _check_range(codec: str, text: str, metric: Metric | None, numbers: list[float]) -> None:
    low, high = (0.0, math.inf) if metric is None else metric.value_range
    for number in numbers:
        if not low <= number <= high or (metric is None and number == 0):
            allowed = "above 0" if metric is None else f"from {low:g} to {high:g}"
            raise ParameterError(f"codec {codec}: target {text}: {_plain(number)} is out of range; it is {allowed}")


def _plain(number: float) -> str:
    """A number without an exponent and without needless zeros.

    >>> _plain(0.5), _plain(4000.0), _plain(1e-05)
    ('0.5', '4000', '0.00001')
    """
    return format(Decimal(repr(number)).normalize(), "f")
