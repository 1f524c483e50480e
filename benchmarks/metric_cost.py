"""Cost of each metric: CPU time of one core per picture of 64x64 and of 768x512.

    python benchmarks/metric_cost.py [--metric NAME ...] [--repeats 5]

For each metric of single images that can run here: the least time of `repeats` with an original that was not seen
before, and with one whose features are known, since an original is compared with the pictures of many settings.
Pictures of 64x64 come in groups of 16, as in an evaluation. For metrics of sets: the time of a picture's features.
Prints a table in Markdown. A machine at rest gives less: a core that is shared takes more CPU time.
"""

from __future__ import annotations

import argparse
import io
import os
import time
from collections.abc import Callable, Iterator, Sequence

os.environ["OMP_NUM_THREADS"] = "1"  # as in a worker, whose metrics have one core; read when libraries are loaded

import numpy as np
import skimage.data
import torch
from PIL import Image

from uqdm.bench.checked_calls import scores
from uqdm.bench.evaluation.picture_scores import BATCH_PIXELS
from uqdm.bench.features.extractors import inception
from uqdm.bench.features.weight_files import WeightsError
from uqdm.bench.metrics import Metric, all_metrics, lack_of

SIZES = ((64, 64), (512, 768))  # height and width
HEADING = "| | 64x64, new original | 64x64 | 768x512, new original | 768x512 |"


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metric", action="append", help="only this metric; repeatable [all, and features of sets]")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"CPU time of one core in ms\n\n{HEADING}\n| --- | ---: | ---: | ---: | ---: |")
    for line in lines(given.metric, given.repeats):
        print(line, flush=True)
    return 0


def lines(names: Sequence[str] | None, repeats: int) -> Iterator[str]:
    """A line for each metric, and for the features of sets unless metrics are named."""
    for metric in all_metrics():
        if names is None or metric.name in names:
            lack = lack_of(metric)
            yield f"| `{metric.name}` | {lack} |" if lack else line_of(metric, repeats)
    if names is None:
        yield features_line(repeats)


def line_of(metric: Metric, repeats: int) -> str:
    """The times of a metric; empty where it is not defined for the size."""
    cells = []
    for size in SIZES:
        if min(size) < metric.smallest_side:
            cells += ["", ""]
            continue
        n = max(1, BATCH_PIXELS // (size[0] * size[1]))
        groups = [group_of(size, n, number) for number in range(repeats + 1)]
        scores(metric, groups[0])  # loads libraries and weights
        new = [milliseconds(scores, metric, group) / n for group in groups[1:]]
        seen = [milliseconds(scores, metric, groups[-1]) / n for _ in range(repeats)]
        cells += [f"{min(new):.1f}", f"{min(seen):.1f}"]
    return f"| `{metric.name}` | {' | '.join(cells)} |"


def features_line(repeats: int) -> str:
    """The times of Inception's features, of which the originals' are computed once for all settings."""
    try:
        extractor = inception.load(device="cpu")
    except WeightsError as error:
        return f"| features of FID and KID | {str(error).splitlines()[0]} |"
    cells = []
    for size in SIZES:
        picture = photograph(size, 0)
        extractor.features([picture])
        times = [milliseconds(extractor.features, [picture]) for _ in range(repeats)]
        cells += ["", f"{min(times):.1f}"]
    return f"| features of FID and KID | {' | '.join(cells)} |"


def group_of(size: tuple[int, int], n: int, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Originals and their reconstructions; each number gives others."""
    originals = [photograph(size, n * number + index) for index in range(n)]
    return [(original, jpeg(original)) for original in originals]


def milliseconds(function: Callable[..., object], *arguments: object) -> float:
    """CPU time of a call."""
    started = time.process_time()
    function(*arguments)
    return 1e3 * (time.process_time() - started)


def photograph(size: tuple[int, int], shift: int) -> np.ndarray:
    """A cut of a photograph [512, 512] beside its mirror image, uint8 [H, W, 3]; each shift gives another one."""
    picture = skimage.data.astronaut()
    wide = np.roll(np.concatenate([picture, picture[:, ::-1]], axis=1), 7 * shift, axis=1)
    return np.ascontiguousarray(wide[: size[0], 100 : 100 + size[1]])


def jpeg(image: np.ndarray) -> np.ndarray:
    """The picture after JPEG of quality 30."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=30)
    return np.asarray(Image.open(file).convert("RGB"))


if __name__ == "__main__":
    raise SystemExit(main())
