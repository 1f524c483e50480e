"""Files of images and images of files, for one model: several of one size at once.

A file's check value is made of its header, the model's digest, the latents and, where it is exact, the picture.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from uqdm.arithmetic import float32_arithmetic
from uqdm.codec import StreamError
from uqdm.coding.ans import SHORT_CHECK_BITS, DamagedStreamError, Reader, Writer
from uqdm.transform.model import Model
from uqdm_baselines.hyperprior import latents, pictures
from uqdm_baselines.hyperprior.file import Header
from uqdm_baselines.hyperprior.latents import Coding, Latents


@dataclass(frozen=True)
class Made:
    """A file, and the model's estimate of its bits."""

    file: bytes
    ideal_bits: float


@dataclass(frozen=True)
class Opened:
    """What is in a file: latents y, float64 [1, M, h, w], and the picture, uint8 [H, W, 3]."""

    y: torch.Tensor
    picture: np.ndarray


def level_of(model: Model, header: Header) -> int:
    """The model's level for the quality of a header; raises :class:`uqdm.codec.StreamError`."""
    levels = model.levels_for(model.prior.quantization)
    if header.quality > len(levels):
        raise StreamError(f"the header claims quality {header.quality}; the model {model.name} has 1 to {len(levels)}")
    return levels[header.quality - 1]


@float32_arithmetic()
def encode(model: Model, images: Sequence[np.ndarray], headers: Sequence[Header]) -> list[Made]:
    """Files of images, uint8 [H, W, 3], whose padded sizes are equal; the headers have one quality and seed."""
    level = level_of(model, headers[0])
    size = headers[0].padded(model.transforms.stride)
    analyzed = [_analyze(model, _pad(image, *size), level) for image in images]
    y, z = (_stack([pair[place] for pair in analyzed]) for place in (0, 1))
    assert y is not None
    found = _encode(model, y, z, level, headers)
    for place, made in enumerate(found):
        if made is None:
            own = slice(place, place + 1)
            with_offsets = replace(headers[place], offsets=True)
            found[place] = _encode(model, y[own], None if z is None else z[own], level, [with_offsets])[0]
    return [made for made in found if made is not None]


def _analyze(model: Model, image_uint8: np.ndarray, level: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Latents and side information, float32 [1, C, h, w].

    Each image is on its own here, so that its file does not depend on others.
    """
    with torch.inference_mode():
        x = torch.from_numpy(image_uint8).to(model.device)
        levels = torch.tensor([level], device=model.device)
        y = model.transforms.analysis(x.permute(2, 0, 1)[None].float() / 255, levels)
        z = model.transforms.hyper_analysis(y, levels).cpu() if model.transforms.side_channels else None
        return y.cpu(), z


def _encode(
    model: Model, y: torch.Tensor, z: torch.Tensor | None, level: int, headers: Sequence[Header]
) -> list[Made | None]:
    """Files; None where offsets are needed."""
    writers = [Writer() for _ in headers]
    coding = Coding(level, headers[0].seed, headers[0].offsets)
    written = latents.write(writers, model, y, z, coding)
    shown: list[np.ndarray | None] = [None] * len(headers)
    if pictures.are_exact(model):
        shown, clear = _round(model, written.latents.y, writers, level, headers)
        written.clear[:] &= clear
    files: list[Made | None] = []
    for place, (header, writer) in enumerate(zip(headers, writers, strict=True)):
        check = _check(model, header.pack(), written.latents, place, shown[place])
        usable = bool(written.clear[place])
        bits = round(float(written.ideal_bits[place]), 3)  # sums of other batches differ far behind
        files.append(Made(header.pack() + writer.finish_short(check), bits) if usable else None)
    return files


def _round(
    model: Model, y: torch.Tensor, writers: Sequence[Writer], level: int, headers: Sequence[Header]
) -> tuple[list[np.ndarray | None], np.ndarray]:
    """Pictures as a reader will get them, and whether they are clear of boundaries between levels."""
    shown: list[np.ndarray | None] = []
    clear = []
    for place, (header, writer) in enumerate(zip(headers, writers, strict=True)):
        own = y[place : place + 1]
        (in_levels,) = pictures.synthesize(model, own, level, header.height, header.width)
        shown.append(pictures.write(writer, in_levels) if header.offsets else pictures.plain(in_levels))
        clear.append(header.offsets or pictures.is_clear(in_levels))
    return shown, np.array(clear)


@float32_arithmetic()
def decode(model: Model, files: Sequence[tuple[Header, bytes, bytes]]) -> list[Opened]:
    """Latents and pictures of files, each as header, its bytes and its stream.

    All headers have one padded size, quality, seed and no offsets, or there is one file. Raises
    :class:`uqdm.codec.StreamError`.
    """
    header = files[0][0]
    level, stride = level_of(model, header), model.transforms.latent_stride
    height, width = header.padded(model.transforms.stride)
    try:
        readers = [Reader.short(stream) for _, _, stream in files]
        coding = Coding(level, header.seed, header.offsets)
        found = latents.read(readers, model, height // stride, width // stride, coding)
        if not header.offsets:
            for reader in readers:
                reader.check()  # a stream that does not end here is damaged: no picture is computed
        in_levels = pictures.synthesize(model, found.y, level, height, width)
        opened = []
        for place, (own, packed, _) in enumerate(files):
            cropped = in_levels[place][: own.height, : own.width]
            exact_with_offsets = own.offsets and pictures.are_exact(model)
            shown = pictures.read(readers[place], cropped) if exact_with_offsets else pictures.plain(cropped)
            checked = shown if pictures.are_exact(model) else None
            if readers[place].check() != _check(model, packed, found, place, checked):
                raise StreamError("the check value does not match")
            opened.append(Opened(found.y[place : place + 1], shown))
    except DamagedStreamError as error:
        raise StreamError(str(error)) from error
    return opened


def _check(model: Model, header: bytes, found: Latents, place: int, picture: np.ndarray | None) -> int:
    """16 bits of all that a reader must get right."""
    value = zlib.crc32(header + bytes.fromhex(model.sha256))
    value = zlib.crc32(found.z[place].astype("<i8").tobytes(), value)
    value = zlib.crc32(found.y[place].numpy().astype("<f8").tobytes(), value)
    if picture is not None:
        value = zlib.crc32(picture.tobytes(), value)
    return (value ^ (value >> SHORT_CHECK_BITS)) & ((1 << SHORT_CHECK_BITS) - 1)


def _stack(parts: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    tensors = [part for part in parts if part is not None]
    return torch.cat(tensors) if tensors else None


def _pad(image_uint8: np.ndarray, to_height: int, to_width: int) -> np.ndarray:
    """The image with its last row and column repeated."""
    height, width = image_uint8.shape[:2]
    return np.pad(image_uint8, ((0, to_height - height), (0, to_width - width), (0, 0)), "edge")
