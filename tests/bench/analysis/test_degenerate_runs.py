"""Runs that leave little to plot: equal images, one image, nothing but exact or failed pictures, one flat image.

Every product is made, intervals contain their means, and no text shows Python's word for a missing number.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import toy_codecs
from report_run import draw_what_is_shown
from small_run import measure_run
from toy_images import MemoryImages
from typer.testing import CliRunner

from uqdm.bench.analysis.bd_table import make_bd_table, write_bd_table
from uqdm.bench.analysis.short_table import short_table
from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.report import save_report
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.layout import bd_path
from uqdm.bench.run.summary_reader import read_summary
from uqdm.cli.main import app

pytestmark = pytest.mark.slow

NOT_A_NUMBER = re.compile(r"(?<![\w-])[+-]?(nan|NaN|NAN|inf|Inf|Infinity|None|undefined|<NA>|NaT)(?![\w-])")


def noise(count: int, *, side: int = 24, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    images = [generator.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(count)]
    for image in images:
        image[0, 0, 0] = 0  # no mark of the toy codecs
    return images


def marked(images: list[np.ndarray]) -> list[np.ndarray]:
    for image in images:
        image[0, 0, 0] = toy_codecs.RAISE
    return images


FLAT = [np.full((16, 16, 3), level, np.uint8) for level in (100, 100, 200)]
WEBPS = ("webp:quality=20", "webp:quality=50", "webp:quality=70", "webp:quality=90")
JPEGS = ("jpeg:quality=10", "jpeg:quality=30", "jpeg:quality=60", "jpeg:quality=90")
RUNS = {
    "equal images": (noise(1) * 12, ("png", *JPEGS, *WEBPS)),
    "one image": (noise(1), ("jpeg:quality=50", "toy-model")),
    "two equal images": (noise(1) * 2, JPEGS[:2]),
    "one setting": (noise(3), ("jpeg:quality=50",)),
    "flat images": (FLAT, ("jpeg:quality=90", "jpeg:quality=50", "png")),
    "all exact": (noise(3), ("png",)),
    "all failed": (marked(noise(2)), ("toy-faulty",)),
    "all skipped": (noise(2), ("toy-absent",)),
    "one failed codec beside another": (marked(noise(2)), ("toy-faulty", "jpeg:quality=50")),
}

LIKE_OTHERS = ("two equal images", "one setting", "one failed codec beside another")
"""Runs between two of the others: equal images with fewer settings, one image, failures as in the run of most tests."""


class Text(HTMLParser):
    """The text of a page that a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.hidden = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        self.parts += [] if self.hidden else [data]


def texts_of(run_dir: Path) -> list[str]:
    drawn = [
        "".join(element.itertext())
        for path in (run_dir / "plots").glob("*.svg")
        for element in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")
    ]
    return [*drawn, *Text((run_dir / "report.html").read_text()).parts]


def printed(run_dir: Path) -> list[str]:
    """What commands print of a run."""
    commands = [["bd", "--run"], ["show"], ["show", "--rows"], ["show", "--sort", "bpp"], ["status"]]
    found = [CliRunner().invoke(app, ["bench", *command, str(run_dir)]) for command in commands]
    found.append(CliRunner().invoke(app, ["bench", "compare", str(run_dir), str(run_dir)]))
    # Some have nothing to show, and say so.
    wrong = [one.exception for one in found if not isinstance(one.exception, ResultsError | SystemExit | None)]
    assert wrong == []
    return [f"{one.output}\n{one.exception or ''}" for one in found]


@pytest.mark.filterwarnings("error:.*(divide by zero|invalid value|identical low and high|Mean of empty):")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.proof if name in LIKE_OTHERS else ()) for name in RUNS]
)
def test_a_run_with_little_to_plot_has_every_product(name: str, toys: Path, tmp_path: Path) -> None:
    images, codecs = RUNS[name]
    run_dir = measure_run(tmp_path / "run", MemoryImages(images), *codecs)
    summarize_run(run_dir)
    summary = read_summary(run_dir)
    for low in [column for column in summary if column.endswith("_low")]:
        value, high = low.removesuffix("_low"), low.replace("_low", "_high")
        known = summary.dropna(subset=[low])
        assert (known[low] <= known[value]).all(), value
        assert (known[value] <= known[high]).all(), value
    deltas = make_bd_table(run_dir)
    write_bd_table(deltas, bd_path(run_dir))
    assert deltas.bd_quality_low.notna().any() == (name == "equal images")  # the one run of two curves
    for delta in ("bd_rate_percent", "bd_quality"):
        ends = [f"{delta.removesuffix('_percent')}_{end}" for end in ("low", "high")]
        known = deltas.dropna(subset=[delta, *ends])
        assert ((known[ends[0]] <= known[delta]) & (known[delta] <= known[ends[1]])).all()
    draw_what_is_shown(run_dir)
    save_report(run_dir)
    shown = [short_table(summary), *printed(run_dir), *texts_of(run_dir)]
    assert [text for text in shown if NOT_A_NUMBER.search(text)] == []
