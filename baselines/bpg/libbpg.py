"""The programs of libbpg, ``bpgenc`` and ``bpgdec``, where they are installed."""

from __future__ import annotations

import functools
import io
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from baselines.bpg.header import FileHeader, read_header
from uqdm.codec import CodecUnavailableError, StreamError

ENCODER, DECODER = "bpgenc", "bpgdec"
TIMEOUT_S = 600.0
"""Longest that one call of a program may take."""


def check_programs() -> None:
    """Raises CodecUnavailableError unless both programs are on PATH."""
    absent = [program for program in (ENCODER, DECODER) if shutil.which(program) is None]
    if absent:
        remedy = "build libbpg 0.9.8 (https://bellard.org/bpg) and put it on PATH, or choose implementation=builtin"
        raise CodecUnavailableError(f"bpg: {' and '.join(absent)} not found; {remedy}")


@functools.cache
def version() -> str:
    """The version that ``bpgenc`` says in its help, with the encoder that is chosen inside it."""
    check_programs()
    shown = subprocess.run([ENCODER, "-h"], capture_output=True, timeout=TIMEOUT_S, check=False, text=True)
    found = re.search(r"version (\S+)", shown.stdout + shown.stderr)
    return f"libbpg {found[1] if found else 'of unknown version'}, encoder jctvc"


def encode(image_uint8: np.ndarray, options: list[str], expected: FileHeader) -> bytes:
    """Codes an image uint8 [H, W, 3] by ``bpgenc -e jctvc`` with more options.

    Raises RuntimeError where bpgenc fails, or writes a file with another header than expected.
    """
    with tempfile.TemporaryDirectory(prefix="uqdm-bpg-") as name:
        source, target = Path(name, "image.png"), Path(name, "image.bpg")
        Image.fromarray(image_uint8).save(source, compress_level=1)
        _run([ENCODER, "-e", "jctvc", *options, "-o", str(target), str(source)], target)
        stream = target.read_bytes()
    _check_header(stream, expected)
    return stream


def _check_header(stream: bytes, expected: FileHeader) -> None:
    """Raises RuntimeError unless a file is what bpgenc was asked for."""
    try:
        written, _ = read_header(stream)
    except StreamError as error:
        raise RuntimeError(f"{ENCODER} wrote a file that is no .bpg file of eight bits: {error}") from error
    if written != expected:
        raise RuntimeError(f"{ENCODER} wrote {written} where {expected} was asked for")


def decode(stream: bytes) -> np.ndarray:
    """Decodes a file by ``bpgdec`` to uint8 [H, W, 3]; raises StreamError where its header, or bpgdec, refuses."""
    header, _ = read_header(stream)  # the bound of the picture's size holds here too
    with tempfile.TemporaryDirectory(prefix="uqdm-bpg-") as name:
        source, target = Path(name, "image.bpg"), Path(name, "image.png")
        source.write_bytes(stream)
        try:
            _run([DECODER, "-o", str(target), str(source)], target)
        except RuntimeError as error:
            raise StreamError(str(error)) from error
        return _read_png(target.read_bytes(), header)


def _run(command: list[str], target: Path) -> None:
    """Runs a program; raises RuntimeError, with the end of what it printed, unless it wrote ``target``."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{command[0]} took longer than {TIMEOUT_S:.0f} s") from error
    if done.returncode or not target.is_file():
        printed = " ".join((done.stderr + done.stdout).decode(errors="replace").split())[-300:]
        raise RuntimeError(f"{command[0]} failed with exit status {done.returncode}: {printed or 'it printed nothing'}")


def _read_png(data: bytes, header: FileHeader) -> np.ndarray:
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        if image.size != (header.width, header.height):
            raise StreamError(f"{DECODER} gave a picture of another size than the header says")
        return np.array(image.convert("RGB"))
