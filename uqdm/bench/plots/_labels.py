"""Labels beside points, placed so that none covers another label or a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

_SIZE = 7.5
_PLACES = ((1, 1), (-1, -1), (1, 0), (-1, 0), (-1, 1), (0, 1), (0, -1), (1, -1))
"""Where a label is put, as directions from its point, the first free one."""
_DISTANCES = (5, 10, 16)
"""Points of distance that are tried, nearest first."""
_POINT_RADIUS = 4.5


@dataclass(frozen=True)
class Label:
    """A text for the point x, y in the axes' data."""

    text: str
    x: float
    y: float
    colour: str


def place_labels(axes: Axes, labels: Sequence[Label], points: Sequence[tuple[float, float]]) -> list[Any]:
    """Draws labels where they cover nothing within the axes, in order; one without a free place is left out.

    ``points`` are all points of the axes. Scales and limits must be set before. Returns the texts that are drawn.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = axes.figure
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[arg-type]  # a figure, not a part of one
    per_point = figure.dpi / 72
    taken = [_around(axes.transData.transform(point), _POINT_RADIUS * per_point) for point in points]
    inside = axes.get_window_extent(renderer)
    drawn = []
    for label in labels:
        text = axes.annotate(
            label.text, (label.x, label.y), xytext=(0, 0), textcoords="offset points", size=_SIZE, color=label.colour
        )
        for distance in _DISTANCES:
            found = next(
                (box for place in _PLACES if (box := _free(text, place, distance, taken, inside, renderer))), None
            )
            if found is not None:
                taken.append(found)
                drawn.append(text)
                break
        else:
            text.remove()
    return drawn


def _free(
    text: Any, place: tuple[int, int], distance: float, taken: Sequence[Bbox], inside: Bbox, renderer: Any
) -> Bbox | None:
    """Puts a text to one place; its box, or None if that is not free."""
    right, up = place
    text.set_horizontalalignment({1: "left", 0: "center", -1: "right"}[right])
    text.set_verticalalignment({1: "bottom", 0: "center", -1: "top"}[up])
    text.set_position((right * distance, up * distance))
    box: Bbox = text.get_window_extent(renderer)
    is_inside = inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
    return box if is_inside and not any(box.overlaps(other) for other in taken) else None


def _around(centre: Any, radius: float) -> Bbox:
    from matplotlib.transforms import Bbox

    x, y = centre
    return Bbox.from_extents(x - radius, y - radius, x + radius, y + radius)
