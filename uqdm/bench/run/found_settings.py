"""What the search for a target found for one image: parameters, and points of its file, as its rows hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from uqdm.bench.run.setting_families import parameters_of

TARGET_POINT = "target"
"""The point of rows of which every image is cut at a point of its own, the one in ``found_point``."""
FOUND_COLUMNS = ("found_setting", "found_point")
"""The columns that a picture is decoded by, beside its codec and setting."""


@dataclass(frozen=True)
class FoundSetting:
    """How the file of one image is decoded: parameters in addition to those of its setting, and which points it shows.

    ``points`` has the point of each kind of reconstruction whose row has the point :data:`TARGET_POINT`.
    """

    setting: str = ""
    points: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters that were found.

        >>> FoundSetting("quality=37,subsampling=4:2:0").parameters
        {'quality': '37', 'subsampling': '4:2:0'}
        """
        return parameters_of(self.setting)

    def in_stream(self, point: str, reconstruction: str) -> tuple[str, str]:
        """The names that the codec has for the picture of a row.

        >>> FoundSetting(points={"denoise": "step 2"}).in_stream("target", "denoise")
        ('step 2', 'denoise')
        """
        return (self.points.get(reconstruction, point) if point == TARGET_POINT else point), reconstruction


NOTHING_FOUND = FoundSetting()
"""For pictures of a setting without a target."""


def found_setting(rows: Iterable[Mapping[str, Any]]) -> FoundSetting:
    """What was found for one image, from its rows at one setting; columns that are absent or null found nothing.

    >>> found_setting([{"found_setting": "quality=37", "found_point": None, "reconstruction": "decoded"}]).parameters
    {'quality': '37'}
    """
    setting = ""
    points: dict[str, str] = {}
    for row in rows:
        found, point = (row.get(name) for name in FOUND_COLUMNS)
        if isinstance(found, str):
            setting = found
        if isinstance(point, str):
            points[row["reconstruction"]] = point
    return FoundSetting(setting, points) if setting or points else NOTHING_FOUND
