"""Files decoded in processes that compute in other ways than the encoder: every picture must be the same.

    python benchmarks/decode_matrix.py [--model uqdm-pixel] [--dataset npz:imagenet64-sample.npz#eval] [--images 200]

Files are made by the first cell and by the one that differs most from it, and decoded by every cell, each in its own
process. Prints a row for each pair, and exits 1 if a single pixel of a single step's picture differs from that of
the process that made the file, or of the lossless picture from the image. With a GPU there are two more cells.

MODEL may be a model in bands, by name or folder. Its networks always run in float64, so there is no cell of another
precision, and a file that differs between the two makers is a failure, too.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from uqdm.bench.datasets import open_dataset
from uqdm.bench.robustness.cells import PLAIN_KERNELS, Cell, set_up_torch
from uqdm.model.files import BANDED_FORMAT
from uqdm.model.zoo import format_named
from uqdm.progressive import UQDM, load_model
from uqdm.progressive.banded.compressor import BandedUQDM
from uqdm.progressive.step_pictures import WantedPicture


@dataclass(frozen=True)
class ModelCell(Cell):
    """One way to run the network, with its precision and device."""

    precision: str = "float32"
    device: str = "cpu"


CELLS = (
    ModelCell("batch 1"),
    ModelCell("batch 4", batch=4),
    ModelCell("batch 16, 2 threads", batch=16, threads=2),
    ModelCell("batch 1, 2 threads, no oneDNN", threads=2, onednn=False),
    ModelCell("batch 4, no oneDNN", batch=4, onednn=False),
    ModelCell("batch 1, plain kernels", environment=PLAIN_KERNELS),
    ModelCell("batch 1, float64", precision="float64"),
    ModelCell("batch 4, 2 threads, plain, no oneDNN", 4, 2, False, PLAIN_KERNELS),
)
CUDA_CELLS = (ModelCell("GPU, batch 1", device="cuda"), ModelCell("GPU, batch 16", batch=16, device="cuda"))


@dataclass(frozen=True)
class Outcome:
    """Compares the pictures of one cell with those of the process that made the files."""

    n_files: int
    n_pictures: int
    n_differing: int
    """Pixels with a difference in any channel."""


def all_cells() -> tuple[ModelCell, ...]:
    """The cells that this machine can run."""
    return CELLS + (CUDA_CELLS if torch.cuda.is_available() else ())


def cells_of(model: str) -> tuple[ModelCell, ...]:
    """The cells that matter for a model: one in bands has no choice of precision."""
    if not in_bands(model):
        return all_cells()
    return tuple(cell for cell in all_cells() if cell.precision == "float32")


def in_bands(model: str) -> bool:
    """Whether a name or a folder is that of a model in bands."""
    return format_named(model) == BANDED_FORMAT


def prepare(cell: ModelCell, model: str) -> UQDM | BandedUQDM:
    """Sets up this process, and loads the model, as the cell says, except for its environment."""
    set_up_torch(cell.threads, cell.onednn)
    codec = load_model(model, device=cell.device)
    return codec if isinstance(codec, BandedUQDM) else UQDM(codec.model, cell.device, precision=cell.precision)


def pictures(codec: UQDM | BandedUQDM, files: Sequence[bytes], batch: int) -> list[np.ndarray]:
    """Of each file the pictures of steps 0 to T and the lossless one, uint8 [T + 2, H, W, 3]."""
    wanted = [*map(WantedPicture, range(codec.n_steps + 1)), WantedPicture(None, "exact")]
    groups = [files[begin : begin + batch] for begin in range(0, len(files), batch)]
    made = [row for group in groups for row in codec._decode([codec.open(file) for file in group], wanted)]
    return [np.stack([picture.image_uint8 for picture in row]) for row in made]


def compress(codec: UQDM | BandedUQDM, images: Sequence[np.ndarray], batch: int) -> list[bytes]:
    """Files of the images, ``batch`` of them made at once."""
    groups = (images[begin : begin + batch] for begin in range(0, len(images), batch))
    return [file for group in groups for file in codec.compress(group)]


def compare(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> Outcome:
    """Counts differing pixels; both hold pictures [T + 2, H, W, 3] by file."""
    pairs = list(zip(found, expected, strict=True))
    differing = sum(int((a != b).any(-1).sum()) if a.shape == b.shape else b[..., 0].size for a, b in pairs)
    return Outcome(len(pairs), sum(len(b) for _, b in pairs), differing)


# ---- other processes ------------------------------------------------------------------------------------------


def decode_elsewhere(cell: ModelCell, model: str, files: Sequence[bytes]) -> tuple[list[np.ndarray], float]:
    """Pictures of files as another process makes them, and its seconds of decoding."""
    arrays, seconds = _run_worker("decode", cell, model, [np.frombuffer(file, np.uint8) for file in files])
    return arrays, seconds


def encode_elsewhere(cell: ModelCell, model: str, images: Sequence[np.ndarray]) -> list[bytes]:
    """Files of images as another process makes them."""
    return [array.tobytes() for array in _run_worker("encode", cell, model, images)[0]]


def _run_worker(task: str, cell: ModelCell, model: str, arrays: Sequence[np.ndarray]) -> tuple[list[np.ndarray], float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _save(folder / "in.npz", arrays)
        job = {"task": task, "model": model, "cell": dataclasses.asdict(cell)}
        command = [sys.executable, str(Path(__file__).resolve()), "--worker", json.dumps(job), name]
        done = subprocess.run(command, env=cell.process_environment(), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{task} in cell {cell.name!r} failed:\n{done.stderr}")
        return _load(folder / "out.npz"), float(done.stdout)


def _work(text: str, folder: Path) -> None:
    """The work of the other process: prints its seconds, without the loading of the model."""
    job = json.loads(text)
    cell = ModelCell(**job["cell"])
    codec, arrays = prepare(cell, job["model"]), _load(folder / "in.npz")
    begun = time.perf_counter()
    if job["task"] == "encode":
        made = [np.frombuffer(file, np.uint8) for file in compress(codec, arrays, cell.batch)]
    else:
        made = pictures(codec, [array.tobytes() for array in arrays], cell.batch)
    seconds = time.perf_counter() - begun
    _save(folder / "out.npz", made)
    print(seconds)


def _save(path: Path, arrays: Sequence[np.ndarray]) -> None:
    np.savez(path, allow_pickle=False, **{f"{index:06d}": array for index, array in enumerate(arrays)})


def _load(path: Path) -> list[np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return [archive[name] for name in sorted(archive.files)]


# ---- the table ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """What one cell made of another's files."""

    maker: ModelCell
    cell: ModelCell
    outcome: Outcome
    n_not_lossless: int
    """Pixels of the last picture that are not the image's."""
    seconds: float

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return self.outcome.n_differing == self.n_not_lossless == 0


@dataclass(frozen=True)
class Matrix:
    """All rows, and the number of files that differ between the two makers."""

    rows: Sequence[Row]
    n_differing_files: int


def run(model: str, images: Sequence[np.ndarray], cells: Sequence[ModelCell], jobs: int) -> Matrix:
    """Makes files in the first cell and in the last of all, and decodes them in all others."""
    rows, made = [], []
    for maker in (cells[0], CELLS[-1]):
        files = encode_elsewhere(maker, model, images)
        made.append(files)
        expected, _ = decode_elsewhere(maker, model, files)
        others = [cell for cell in cells if cell != maker]
        with ThreadPoolExecutor(jobs) as pool:
            results = pool.map(decode_elsewhere, others, [model] * len(others), [files] * len(others))
            for cell, (found, seconds) in zip(others, results, strict=True):
                ends = compare([shown[-1:] for shown in found], [image[None] for image in images])
                rows.append(Row(maker, cell, compare(found, expected), ends.n_differing, seconds))
    return Matrix(rows, sum(a != b for a, b in zip(*made, strict=True)))


def show(rows: Sequence[Row]) -> None:
    table = Table("made by", "decoded by", "files", "pictures", "differing pixels", "not lossless", "decoding, s")
    for row in rows:
        counts = (row.outcome.n_files, row.outcome.n_pictures, row.outcome.n_differing, row.n_not_lossless)
        table.add_row(row.maker.name, row.cell.name, *map(str, counts), f"{row.seconds:.1f}")
    Console(width=160).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="uqdm-pixel", help="name of a shipped model, or path of a model folder")
    parser.add_argument("--dataset", default="demo", help="data set, such as npz:PATH#KEY")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--cells", help="numbers of the cells to run, such as 0,2,6; all unless given")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    parser.add_argument("--worker", nargs=2, metavar=("JOB", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        _work(arguments.worker[0], Path(arguments.worker[1]))
        return
    dataset = open_dataset(arguments.dataset, limit=arguments.images)
    cells = cells_of(arguments.model)
    if arguments.cells:
        cells = tuple(cells[int(number)] for number in arguments.cells.split(","))
    images = [dataset.load(index) for index in range(len(dataset))]
    print(f"{arguments.model}: {len(images)} images of {arguments.dataset}")
    matrix = run(arguments.model, images, cells, arguments.jobs)
    show(matrix.rows)
    print(f"files that differ between the two makers: {matrix.n_differing_files} of {len(images)}")
    is_same = all(row.same for row in matrix.rows) and not (in_bands(arguments.model) and matrix.n_differing_files)
    sys.exit(0 if is_same else 1)


if __name__ == "__main__":
    main()
