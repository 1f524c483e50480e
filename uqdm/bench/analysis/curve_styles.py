"""A colour, a marker and a line style for each curve of a run, the same in plots, report and tables.

A style depends on the variant of the codec (its label, or the model or program that it names) and on the kind of
pictures, not on the order of curves or on the other curves of a run. Where two curves of a run would get the same
colour, one of them, the second by name, gets another.
"""

from __future__ import annotations

import colorsys
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uqdm.bench.analysis.curves import shared_parameters
from uqdm.bench.analysis.variants import Variant

if TYPE_CHECKING:
    from uqdm.bench.analysis.curves import Curve

LineStyle = str | tuple[float, tuple[float, ...]]
"""A line style as Matplotlib takes it."""

Look = tuple[str, str]
"""A colour and a marker."""

# Colours that readers with any colour vision tell apart, by codec: those of Okabe & Ito (2008) and Tol (2021), darker
# where they had a contrast under 3 to white, the least for graphics (WCAG 2.2, criterion 1.4.11).
_KNOWN: dict[str, Look] = {
    "uqdm": ("#D55E00", "o"),
    "jpeg": ("#555555", "s"),
    "jpeg-tuned": ("#111111", "8"),
    "jpeg-progressive": ("#994455", "*"),
    "jpeg2000": ("#C28600", "^"),
    "jpeg2000-progressive": ("#997700", ">"),
    "jpeg2000-tuned": ("#8C510A", "p"),
    "webp": ("#1D9AE0", "v"),
    "avif": ("#009E73", "D"),
    "jxl": ("#0072B2", "P"),
    "png": ("#CC79A7", "X"),
    "bpg": ("#117733", "d"),
    "bpg-tuned": ("#70A020", "d"),
    "vdm": ("#332288", "h"),
    "hyperprior": ("#C51B7D", "<"),
    "uq-ntc": ("#A020F0", "h"),
}
_STANDARD_NAMES = ("", "model=uqdm-demo", "model=ntc-demo")
"""``Variant.names`` of the variants that have the colour of their codec."""
# Other curves take one of these by their names, so that no curve changes another's.
_OTHERS: tuple[Look, ...] = (
    ("#DC267F", "s"),
    ("#785EF0", "^"),
    ("#41A191", "D"),
    ("#882255", "v"),
    ("#999933", "P"),
    ("#648FFF", "X"),
    ("#AA4499", "p"),
    ("#661100", "*"),
    ("#CC6677", ">"),
    ("#225555", "h"),
    ("#0B9FC1", "<"),
)

LINE_STYLES: tuple[LineStyle, ...] = ("-", "-.", ":")
"""For the kinds of pictures of one stream: denoised or decoded, ancestral, flow. Dashes are kept for ideal rates."""
IDEAL_LINE_STYLES: tuple[LineStyle, ...] = ("--", (0, (9, 3)), (0, (2.2, 1.6)))
"""The same for ideal codecs: dashes, long ones and short ones."""
_WAYS = {"decoded": 0, "denoise": 0, "ancestral": 1, "flow": 2}
"""Kinds of pictures that share the colour of their stream, and the place of their line style."""
_MARKERS = ("o", "^", "v", "s", "D", "P", "X", "p", "*", "<", ">", "h", "d", "8")
"""A kind of pictures has the marker that follows its stream's, by its place."""


@dataclass(frozen=True)
class CurveStyle:
    """How a curve is drawn: colour as ``#rrggbb``, Matplotlib's marker and line style."""

    colour: str
    marker: str
    line: LineStyle = "-"

    @property
    def dark_colour(self) -> str:
        """The colour on a dark ground (see :func:`on_dark`)."""
        return on_dark(self.colour)


@dataclass(frozen=True, order=True)
class _Key:
    """What the colour of a curve depends on, in the order in which collisions are resolved."""

    has_other: bool
    """False for the standard variant of a codec, which comes first."""
    variant: Variant
    way: str
    settings: str

    @property
    def first(self) -> Look:
        """The look of the curve in a run without collisions."""
        if not self.has_other:
            return _KNOWN[self.variant.codec]
        return _other(self.text, 0)

    @property
    def text(self) -> str:
        variant = self.variant
        parts = (variant.codec, variant.label, "" if variant.names in _STANDARD_NAMES else variant.names, self.way)
        return "\n".join(parts)


def curve_styles(drawn: Sequence[Curve]) -> dict[str, CurveStyle]:
    """The style of each curve of a run, by its label."""
    keys = {curve.label: _key_of(curve) for curve in drawn}
    looks = _looks(keys.values())
    found: dict[str, CurveStyle] = {}
    for curve in sorted(drawn, key=lambda curve: (keys[curve.label], curve.label)):
        choices = _styles(curve, looks[keys[curve.label]])
        found[curve.label] = next((style for style in choices if style not in found.values()), choices[0])
    return {curve.label: found[curve.label] for curve in drawn}


def variant_styles(drawn: Sequence[Curve], variants: Iterable[Variant]) -> dict[Variant, CurveStyle]:
    """The style of each variant, for a single mark: that of its first curve, the denoised one if it has several.

    ``drawn`` are all curves of the run. Variants without a curve are styled beside them.
    """
    of_curves = curve_styles(drawn)
    found: dict[Variant, CurveStyle] = {}
    for curve in sorted(drawn, key=lambda curve: (_place(curve.reconstruction), curve.label)):
        found.setdefault(curve.variant, of_curves[curve.label])
    bare = {variant: _Key(_is_other(variant), variant, "", "") for variant in variants if variant not in found}
    looks = _looks([*(_key_of(curve) for curve in drawn), *bare.values()])
    return found | {variant: CurveStyle(*looks[key]) for variant, key in bare.items()}


def imported_styles(names: Sequence[str], drawn: Sequence[Curve]) -> dict[str, CurveStyle]:
    """The style of each imported curve, by its name, beside the curves of a run: dashed, in a colour of its own."""
    keys = {name: _Key(True, Variant("", name), "", "") for name in names}
    looks = _looks([*(_key_of(curve) for curve in drawn), *keys.values()])
    return {name: CurveStyle(*looks[key], IDEAL_LINE_STYLES[0]) for name, key in keys.items()}


def codec_style(codec: str) -> Look:
    """Colour and marker of a codec's standard variant; they depend on its name alone.

    >>> codec_style("uqdm")
    ('#D55E00', 'o')
    """
    variant = Variant(codec)
    return _Key(_is_other(variant), variant, "", "").first


def on_dark(colour: str) -> str:
    """The colour on a dark ground: the same hue, and its lightness mirrored if that is less than half.

    >>> on_dark("#111111"), on_dark("#CC79A7")
    ('#eeeeee', '#cc79a7')
    """
    red, green, blue = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    mirrored = colorsys.hls_to_rgb(hue, max(lightness, 1 - lightness), saturation)
    return "#" + "".join(f"{round(255 * part):02x}" for part in mirrored)


def _key_of(curve: Curve) -> _Key:
    way = "" if curve.reconstruction in _WAYS else curve.reconstruction
    other = _is_other(curve.variant) or bool(way)
    return _Key(other, curve.variant, way, shared_parameters(curve.points["setting"].unique()))


def _is_other(variant: Variant) -> bool:
    return variant.codec not in _KNOWN or bool(variant.label) or variant.names not in _STANDARD_NAMES


def _looks(keys: Iterable[_Key]) -> dict[_Key, Look]:
    """A look of its own for each key: its first one, or the next that is free."""
    found: dict[_Key, Look] = {}
    for key in sorted(set(keys)):
        taken = set(found.values())
        colours = {colour for colour, _ in taken}
        choices = [key.first, *(_other(key.text, place) for place in range(len(_OTHERS) ** 2))]
        free = [look for look in choices if look not in taken]
        found[key] = next((look for look in free if look[0] not in colours), (free or choices)[0])
    return found


def _other(text: str, place: int) -> Look:
    """The choice of that place among ``_OTHERS``, from one that the text determines; markers rotate with each round."""
    n = len(_OTHERS)
    start = zlib.crc32(text.encode()) % n
    colour = _OTHERS[(start + place) % n][0]
    marker = _OTHERS[(start + place + place // n) % n][1]
    return colour, marker


def _place(way: str) -> int:
    return _WAYS.get(way, 0)


def _styles(curve: Curve, look: Look) -> list[CurveStyle]:
    """The style of a curve of that look, then those with other markers."""
    colour, marker = look
    place = _place(curve.reconstruction)
    line = (IDEAL_LINE_STYLES if curve.ideal else LINE_STYLES)[place]
    first = _MARKERS.index(marker) + place
    return [CurveStyle(colour, _MARKERS[(first + more) % len(_MARKERS)], line) for more in range(len(_MARKERS))]
