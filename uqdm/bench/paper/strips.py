"""The UQDM files of a few images, step by step, with every kind of reconstruction: as in Figures 5 and 8 (left)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from uqdm.bench.analysis.picture_choice import varied_images
from uqdm.bench.paper.measured import Run, find_row
from uqdm.bench.paper.protocol import UQDM, Model, Place
from uqdm.bench.plots import NO_METADATA
from uqdm.bench.plots._style import RC, message_figure, take_names_literally
from uqdm.bench.plots.progressive import Strip, draw_strip, picture_of
from uqdm.bench.run.errors import StreamsNotKeptError
from uqdm.bench.run.pictures import RunPictures
from uqdm.bench.run.tables import records
from uqdm.codec import CodecUnavailableError
from uqdm.files import replacing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

WAYS = ("denoise", "ancestral", "flow")
N_IMAGES = 3
NO_MODEL = "No pictures step by step: no UQDM model is named in the configuration."


def save_strips(run_dir: Path, run: Run, models: Sequence[Model]) -> list[Path]:
    """Draws ``figures/progressive.png`` of the first model (see :func:`draw`), and returns the file."""
    from matplotlib import rc_context

    path = run_dir / "figures" / "progressive.png"
    with rc_context(rc=RC):  # type: ignore[arg-type]  # its keys are plain text here
        figure = draw(run_dir, run, models)
        take_names_literally(figure)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", metadata=NO_METADATA["png"])
    return [path]


def draw(run_dir: Path, run: Run, models: Sequence[Model]) -> Figure:
    """The pictures after each step, a row for each image and each of ``WAYS``; or the reason why there are none.

    All pictures of an image come from one file. The model is the published one if the run has it, else the first.
    """
    if not models:
        return message_figure(NO_MODEL)
    model = next((model for model in models if model.is_published), models[0])
    row, lacking = find_row(run.summary, Place(UQDM, model.parameters, "step 0", WAYS[0]))
    if row is None:
        return message_figure(f"No pictures step by step: {lacking}.")
    try:
        return draw_strip(read_strips(run_dir, run, row["setting"]))
    except (CodecUnavailableError, StreamsNotKeptError) as error:
        return message_figure(f"No pictures step by step: {error}")


def read_strips(run_dir: Path, run: Run, setting: str) -> Strip:
    """Decodes files of ``N_IMAGES`` images, from low to high rate."""
    pictures_of = RunPictures(run_dir, run.dataset)
    rows = pictures_of.rows[(pictures_of.rows.codec == UQDM) & (pictures_of.rows.setting == setting)]
    rows = rows.sort_values("point_index", kind="stable")
    pictures, originals, names = [], [], []
    for index in varied_images(rows, N_IMAGES):
        for way, found in _by_way(rows[rows.image_index == index]):
            pictures.append([picture_of(pictures_of, row) for row in records(found)])
            originals.append(pictures_of.original(index, (UQDM, setting)))
            names.append(f"{way}: {pictures[-1][0].image_id}")
    return Strip(UQDM, setting, run.dataset, pictures, originals, names)


def _by_way(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each kind of reconstruction, in the order of ``WAYS``."""
    parts = [(way, rows[rows.reconstruction == way]) for way in WAYS]
    return [(way, part) for way, part in parts if len(part)]
