"""Cost of transform coding's files: bits over the model's estimate, and times beside the networks.

    python benchmarks/transform_coding.py own --model ntc-demo [--dataset npz:imagenet64-sample.npz#eval] [--images 200]
    python benchmarks/transform_coding.py compressai FOLDER --images-file IMAGES.npy
    python benchmarks/transform_coding.py matrix --model ntc-demo [--dataset ...] [--images 200]

``own`` prints a row for each codec and quality: the estimate, and what stream and file have besides; the same symbols
by constriction; and CPU milliseconds for an image, of the networks and of everything else. ``--save-images`` writes the
images for ``compressai``, which runs in an environment that has CompressAI: it makes checkpoints of mbt2018-mean in
FOLDER, whose random networks have densities that fit the latents, and measures CompressAI's strings against its
estimate. ``own --model FOLDER/FILE`` then measures the files here by the same checkpoint. ``matrix`` decodes files in
processes that compute in other ways, and counts latents and pictures that differ.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

CODECS = ("hyperprior", "uq-ntc")


def load_images(dataset: str, n: int) -> list[np.ndarray]:
    from uqdm.bench.datasets import open_dataset

    opened = open_dataset(dataset, limit=n)
    return [opened.load(index) for index in range(len(opened))]


def make_codec(name: str, model: str, quality: int = 0) -> Any:
    from uqdm.codec import get_codec

    return get_codec(name, model=model, quality=quality)


# ---- bits ------------------------------------------------------------------------------------------------


def own_bits(model: str, images: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """Mean bits of each codec and quality: estimate, stream with its check value, and file."""
    rows = []
    for name in CODECS:
        codec = make_codec(name, model)
        for quality in range(1, len(codec._model.levels_for(codec.quantization)) + 1):
            made = make_codec(name, model, quality).encode_detailed(images)
            parts = [codec.parts(one.stream)["full"] for one in made]
            estimate = float(np.mean([one.ideal_bits["full"] for one in made]))
            stream = 8 * float(np.mean([part.payload_bytes + part.side_bytes for part in parts]))
            file = 8 * float(np.mean([part.n_bytes for part in parts]))
            rows.append({"codec": name, "quality": quality, "estimate": estimate, "stream": stream, "file": file})
    return rows


def show_bits(rows: Sequence[dict[str, Any]], pixels: int) -> None:
    print("| codec | quality | bpp | estimate, bits | stream over it | file over it |")
    for row in [*rows, *means(rows)]:
        over = [
            f"{row[kind] - row['estimate']:+.1f} ({row[kind] / row['estimate'] - 1:+.2%})"
            for kind in ("stream", "file")
        ]
        bpp = row["file"] / pixels
        print(f"| {row['codec']} | {row['quality']} | {bpp:.3f} | {row['estimate']:.1f} | {over[0]} | {over[1]} |")


def means(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each codec the means of all qualities."""
    found = []
    for name in dict.fromkeys(row["codec"] for row in rows):
        own = [row for row in rows if row["codec"] == name]
        kinds = {kind: float(np.mean([row[kind] for row in own])) for kind in ("estimate", "stream", "file")}
        found.append({"codec": name, "quality": "mean", **kinds})
    return found


# ---- times -----------------------------------------------------------------------------------------------


class NetworkTime:
    """CPU seconds inside of the networks' methods, which it wraps."""

    METHODS = ("analysis", "hyper_analysis", "features", "section", "synthesis")

    def __init__(self, model: Any) -> None:
        self.seconds = 0.0
        for networks in (model.transforms, model.precise):
            for method in self.METHODS:
                setattr(networks, method, self._timed(getattr(networks, method)))

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            begun = time.process_time()
            try:
                return call(*arguments)
            finally:
                self.seconds += time.process_time() - begun

        return timed


def own_times(model: str, images: Sequence[np.ndarray], repeats: int = 5) -> None:
    """Median CPU milliseconds for an image, in batches of 8: all but the networks, and the networks."""
    print("| codec | quality | encode, beside networks | networks | decode, beside networks | networks |")
    for name in CODECS:
        codec = make_codec(name, model)
        clock = NetworkTime(codec._model)
        for quality in range(1, len(codec._model.levels_for(codec.quantization)) + 1):
            codec = make_codec(name, model, quality)
            files = codec.encode(images)
            columns = [
                timed_apart(clock, call, len(images), repeats)
                for call in (_encode(codec, images), _decode(codec, files))
            ]
            print(f"| {name} | {quality} | " + " | ".join(f"{value:.2f}" for pair in columns for value in pair) + " |")


def _encode(codec: Any, images: Sequence[np.ndarray]) -> Callable[[], Any]:
    return lambda: codec.encode_detailed(images)


def _decode(codec: Any, files: Sequence[bytes]) -> Callable[[], Any]:
    return lambda: codec.decode(files)


def timed_apart(clock: NetworkTime, call: Callable[[], Any], n: int, repeats: int) -> tuple[float, float]:
    call()
    found = []
    for _ in range(repeats):
        clock.seconds, begun = 0.0, time.process_time()
        call()
        networks = clock.seconds
        found.append((1e3 * (time.process_time() - begun - networks) / n, 1e3 * networks / n))
    coding, networks_ms = np.median(np.array(found), axis=0)
    return float(coding), float(networks_ms)


# ---- constriction ----------------------------------------------------------------------------------------


def constriction_figures(model: str, images: Sequence[np.ndarray], quality: int) -> None:
    """The symbols of images by the tables here, and by constriction's models in groups of one row."""
    from uqdm.coding.ans import Reader, Writer
    from uqdm_baselines.hyperprior import latents

    codec = make_codec("hyperprior", model, quality)
    pieces: list[list[tuple[Any, ...]]] = []
    original = Writer.finish_short

    def kept(writer: Writer, check: int) -> bytes:
        pieces.append([data for kind, data in writer._pieces if kind == "tabled"])
        return original(writer, check)

    Writer.finish_short = kept  # type: ignore[method-assign]
    codec.encode(images)
    Writer.finish_short = original  # type: ignore[method-assign]
    tables = {"prior": codec._model.prior.frequencies, "sections": latents._frequencies(codec._model)}
    for part, own in (("prior", slice(0, 1)), ("sections", slice(1, None))):
        symbols = [np.concatenate([data[0] for data in found[own]]) for found in pieces]
        rows = [np.concatenate([data[1] for data in found[own]]) for found in pieces]
        here = _tabled_here(symbols, rows, tables[part], Reader, Writer)
        there = _by_constriction(symbols, rows, tables[part])
        print(f"| {part} | quality {quality} | here {here[0]:.1f} bits, {here[1]:.2f} + {here[2]:.2f} ms | "
              f"constriction {there[0]:.1f} bits, {there[1]:.2f} + {there[2]:.2f} ms |")  # fmt: skip


def _tabled_here(
    symbols: Any, rows: Any, table: Any, reader_class: Any, writer_class: Any
) -> tuple[float, float, float]:
    warm = writer_class()
    warm.tabled(symbols[0], rows[0], table)
    reader_class.short(warm.finish_short(0)).tabled(rows[0], table)
    bits, encode, decode = 0, 0.0, 0.0
    for own, own_rows in zip(symbols, rows, strict=True):
        begun = time.process_time()
        writer = writer_class()
        writer.tabled(own, own_rows, table)
        stream = writer.finish_short(0)
        middle = time.process_time()
        found = reader_class.short(stream).tabled(own_rows, table)
        encode, decode = encode + middle - begun, decode + time.process_time() - middle
        assert (found == own).all()
        bits += 8 * len(stream)
    n = len(symbols)
    return bits / n, 1e3 * encode / n, 1e3 * decode / n


def _by_constriction(symbols: Any, rows: Any, table: Any) -> tuple[float, float, float]:
    """Symbols sorted by row, each row with its categorical model; models are made once and not timed."""
    import constriction

    models: dict[int, Any] = {}

    def model_of(row: int) -> Any:
        if row not in models:
            edges = table.edges[table.starts[row] : table.starts[row + 1]]
            p = np.diff(edges).astype(np.float64)
            models[row] = (
                constriction.stream.model.Categorical(p / p.sum(), perfect=False),
                int(table.firsts[row]),
                p.size,
            )
        return models[row]

    def coded(own: np.ndarray, own_rows: np.ndarray, coder: Any, decode: bool) -> np.ndarray:
        order = np.argsort(own_rows, kind="stable")
        found = np.empty_like(own)
        groups = np.split(order, np.flatnonzero(np.diff(own_rows[order])) + 1)
        for places in groups if decode else reversed(groups):
            categorical, first, size = model_of(int(own_rows[places[0]]))
            if decode:
                found[places] = np.asarray(coder.decode(categorical, places.size)) + first
            else:
                coder.encode_reverse(np.clip(own[places] - first, 0, size - 1).astype(np.int32), categorical)
        return found

    bits, encode, decode = 0, 0.0, 0.0
    for timed in (False, True):
        for own, own_rows in zip(symbols, rows, strict=True):
            begun = time.process_time()
            coder = constriction.stream.stack.AnsCoder()
            coded(own, own_rows, coder, decode=False)
            compressed = coder.get_compressed()
            middle = time.process_time()
            coded(own, own_rows, constriction.stream.stack.AnsCoder(compressed), decode=True)
            if timed:
                encode, decode = encode + middle - begun, decode + time.process_time() - middle
                bits += 32 * compressed.size
    n = len(symbols)
    return bits / n, 1e3 * encode / n, 1e3 * decode / n


# ---- CompressAI ------------------------------------------------------------------------------------------

RATES_BPP = (0.57, 2.0)
N, M = 48, 64


def compressai_bits(folder: Path, images_file: Path) -> None:
    """CompressAI's strings against its likelihoods, and its CPU time with the networks, for each rate."""
    torch.set_num_threads(1)
    x = torch.from_numpy(np.load(images_file)).permute(0, 3, 1, 2) / 255
    for rate_bpp in RATES_BPP:
        path = folder / f"mbt2018-mean-{rate_bpp}.pth.tar"
        model = fitted_model(x[:32], rate_bpp)
        state = {name: value for name, value in model.state_dict().items() if not name.startswith("gaussian_")}
        torch.save(state, path)
        figures = np.array([compressai_figures(model, image[None]) for image in x])
        estimate, bits = figures[:, :2].mean(0)
        encode, decode = 1e3 * np.median(figures[:, 2:], axis=0)
        over = f"{bits - estimate:+.1f} ({bits / estimate - 1:+.2%})"
        print(f"| CompressAI | {path.name} | {estimate:.1f} | {over} | {encode:.1f} + {decode:.1f} ms |", flush=True)


def fitted_model(x: torch.Tensor, rate_bpp: float) -> Any:
    """Random networks, with densities of the latents as measured, whose latents have about a rate on images."""
    from compressai import models

    torch.manual_seed(0)
    model = models.MeanScaleHyperprior(N, M).eval()
    with torch.inference_mode():
        y = model.g_a(x)
    bits = rate_bpp * x[0, 0].numel() / y[0].numel()  # of a latent: log2 of its deviation, and 2
    model.g_a[6].weight.data *= 2 ** (bits - 2) / y.std((0, 2, 3), keepdim=True).flatten()[:, None, None, None]
    with torch.inference_mode():
        y = model.g_a(x)
        model.h_s[4].weight *= 0.05
        model.h_s[4].bias[:M] = y.std((0, 2, 3))
        model.h_s[4].bias[M:] = y.mean((0, 2, 3))
    model.update()
    return model


def compressai_figures(model: Any, x: torch.Tensor) -> tuple[float, float, float, float]:
    """Estimate and bits of an image, CPU seconds of encoding and decoding."""
    with torch.inference_mode():
        estimate = sum(float(-torch.log2(one).sum()) for one in model(x)["likelihoods"].values())
        begun = time.process_time()
        coded = model.compress(x)
        middle = time.process_time()
        model.decompress(coded["strings"], coded["shape"])
        end = time.process_time()
    bits = 8 * sum(len(one) for parts in coded["strings"] for one in parts)
    return estimate, bits, middle - begun, end - middle


# ---- other ways to compute -------------------------------------------------------------------------------


def matrix(model: str, images: Sequence[np.ndarray], name: str, quality: int) -> int:
    """Differing latents and pictures of files in other processes; those that a float32 network would make as well."""
    from uqdm.bench.robustness.cells import PLAIN_KERNELS, Cell

    cells = (
        Cell("batch 1"),
        Cell("batch 8", batch=8),
        Cell("batch 8, 2 threads", batch=8, threads=2),
        Cell("batch 1, 2 threads, no oneDNN", threads=2, onednn=False),
        Cell("batch 1, plain kernels", environment=PLAIN_KERNELS),
        Cell("batch 1, AVX2", environment={"ATEN_CPU_CAPABILITY": "avx2"}),
        Cell("batch 8, 2 threads, plain, no oneDNN", 8, 2, False, PLAIN_KERNELS),
    )
    total = 0
    for maker in (cells[0], cells[-1]):
        files = [one.tobytes() for one in _elsewhere(maker, "encode", model, name, quality, images)]
        expected = None
        for cell in cells:
            coded = [np.frombuffer(file, np.uint8) for file in files]
            found = _elsewhere(cell, "decode", model, name, quality, coded)
            expected = expected or found
            pairs = list(zip(found, expected, strict=True))
            latents, pictures, floats = (sum(not np.array_equal(a, b) for a, b in pairs[part::3]) for part in range(3))
            total += latents + pictures
            print(
                f"| {name} | {maker.name} | {cell.name} | {len(files)} | {latents} | {pictures} | {floats} |",
                flush=True,
            )
    return total


def _elsewhere(
    cell: Any, task: str, model: str, name: str, quality: int, arrays: Sequence[np.ndarray]
) -> list[np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        _save(Path(folder) / "in.npz", arrays)
        job = {"task": task, "model": model, "name": name, "quality": quality, "cell": dataclasses.asdict(cell)}
        command = [sys.executable, str(Path(__file__).resolve()), "worker", json.dumps(job), folder]
        done = subprocess.run(command, env=cell.process_environment(), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{task} in cell {cell.name!r} failed:\n{done.stderr}")
        return _load(Path(folder) / "out.npz")


def _work(text: str, folder: Path) -> None:
    """Encodes images; or decodes files, to latents, picture, and the picture of a synthesis in float32, in turn."""
    from uqdm.bench.robustness.cells import Cell, set_up_torch

    job = json.loads(text)
    cell = Cell(**job["cell"])
    set_up_torch(cell.threads, cell.onednn)
    codec, arrays = make_codec(job["name"], job["model"], job["quality"]), _load(folder / "in.npz")
    made: list[np.ndarray] = []
    for begin in range(0, len(arrays), cell.batch):
        batch = arrays[begin : begin + cell.batch]
        if job["task"] == "encode":
            made += [np.frombuffer(file, np.uint8) for file in codec.encode(batch)]
        else:
            opened = codec.open([one.tobytes() for one in batch])
            floats = _float32_pictures(codec, torch.cat([one.y for one in opened]))
            for one, picture in zip(opened, floats, strict=True):
                made += [one.y.numpy(), one.picture, picture]
    _save(folder / "out.npz", made)


def _float32_pictures(codec: Any, y: torch.Tensor) -> np.ndarray:
    level = codec._model.levels_for(codec.quantization)[codec._quality - 1]
    with torch.inference_mode():
        image = codec._model.transforms.synthesis(y.float(), torch.full((len(y),), level))
    return (image.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def _save(path: Path, arrays: Sequence[np.ndarray]) -> None:
    np.savez(path, allow_pickle=False, **{f"{index:06d}": array for index, array in enumerate(arrays)})


def _load(path: Path) -> list[np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return [archive[name] for name in sorted(archive.files)]


# ---- command ---------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("task", choices=("own", "compressai", "matrix", "worker"))
    parser.add_argument("rest", nargs="*", help="for compressai, the folder of its checkpoints")
    parser.add_argument("--model", default="ntc-demo", help="name of a shipped model, or path of a model folder")
    parser.add_argument("--dataset", default="demo", help="data set, such as npz:PATH#KEY")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--quality", type=int, default=0, help="of constriction's figures, and of matrix")
    parser.add_argument("--save-images", type=Path, help="file to write the images to, for compressai")
    parser.add_argument("--images-file", type=Path, help="that file")
    arguments = parser.parse_args()
    if arguments.task == "worker":
        _work(arguments.rest[0], Path(arguments.rest[1]))
    elif arguments.task == "compressai":
        compressai_bits(Path(arguments.rest[0]), arguments.images_file)
    else:
        images = load_images(arguments.dataset, arguments.images)
        if arguments.save_images:
            np.save(arguments.save_images, np.stack(images))
        if arguments.task == "matrix":
            sys.exit(sum(matrix(arguments.model, images, name, arguments.quality) for name in CODECS) > 0)
        torch.set_num_threads(1)
        show_bits(own_bits(arguments.model, images), images[0][..., 0].size)
        constriction_figures(arguments.model, images[:16], arguments.quality)
        own_times(arguments.model, images[:16])


if __name__ == "__main__":
    main()
