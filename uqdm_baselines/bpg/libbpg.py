"""The programs of libbpg, ``bpgenc`` and ``bpgdec``, where they are installed."""

from __future__ import annotations

import functools
import re
import shutil

import numpy as np
from PIL import Image

from uqdm.codec import CodecUnavailableError, StreamError
from uqdm.images import ImageError, read_image
from uqdm.text import printable
from uqdm_baselines._pillow import MAX_PIXELS
from uqdm_baselines._process import CallFolder, ProgramError, call_folder, execute, tail
from uqdm_baselines.bpg.header import FileHeader, read_header

ENCODER, DECODER = "bpgenc", "bpgdec"
TIMEOUT_S = 600.0
"""Time limit of one call of a program."""


def check_programs() -> None:
    """Raises CodecUnavailableError unless both programs are on PATH."""
    absent = [program for program in (ENCODER, DECODER) if shutil.which(program) is None]
    if absent:
        remedy = "build libbpg 0.9.8 (https://bellard.org/bpg) and put it on PATH, or choose implementation=builtin"
        raise CodecUnavailableError(f"bpg: {' and '.join(absent)} not found; {remedy}")


@functools.cache
def version() -> str:
    """The version in the help of ``bpgenc``, with the encoder that it is set to use."""
    check_programs()
    with call_folder() as folder:
        _, shown = execute([ENCODER, "-h"], folder, TIMEOUT_S)
    found = re.search(r"version (\S+)", shown)
    return f"libbpg {printable(found[1]) if found else 'of unknown version'}, encoder jctvc"


def encode(image_uint8: np.ndarray, options: list[str], expected: FileHeader) -> bytes:
    """Codes an image uint8 [H, W, 3] by ``bpgenc -e jctvc`` with more options.

    Raises ProgramError if bpgenc fails, or writes a file with another header than expected.
    """
    with call_folder() as folder:
        Image.fromarray(image_uint8).save(folder.path / "image.png", compress_level=1)
        stream = _run([ENCODER, "-e", "jctvc", *options, "-o"], folder, "image.bpg", "image.png")
    _check_header(stream, expected)
    return stream


def _check_header(stream: bytes, expected: FileHeader) -> None:
    """Raises ProgramError unless bpgenc wrote the requested kind of file."""
    try:
        written, _ = read_header(stream)
    except StreamError as error:
        raise ProgramError(f"{ENCODER} wrote a file that is no .bpg file of eight bits: {error}") from error
    if written != expected:
        raise ProgramError(f"{ENCODER} wrote {written} instead of {expected}")


def decode(stream: bytes) -> np.ndarray:
    """Decodes a file by ``bpgdec`` to uint8 [H, W, 3]; raises StreamError where its header, or bpgdec, refuses."""
    header, _ = read_header(stream)  # the bound of the picture's size holds here too
    with call_folder() as folder:
        (folder.path / "image.bpg").write_bytes(stream)
        try:
            return _read_png(_run([DECODER, "-o"], folder, "image.png", "image.bpg"), header)
        except ProgramError as error:
            raise StreamError(str(error)) from error


def _run(command: list[str], folder: CallFolder, target: str, source: str) -> bytes:
    """Runs a program on files of a folder, and returns the one that it wrote.

    Raises ProgramError with the end of what it printed. None of its processes outlives the call.
    """
    status, printed = execute([*command, str(folder.path / target), str(folder.path / source)], folder, TIMEOUT_S)
    written = None if status else folder.read(target)
    if written is None:
        raise ProgramError(f"{command[0]} failed with exit status {status}: {tail(printed)}")
    return written


def _read_png(data: bytes, header: FileHeader) -> np.ndarray:
    try:
        image_uint8 = read_image(data, name=f"the picture that {DECODER} wrote", max_pixels=MAX_PIXELS)
    except ImageError as error:
        raise StreamError(str(error)) from error
    if image_uint8.shape[:2] != (header.height, header.width):
        raise StreamError(f"{DECODER} gave a picture of another size than the header says")
    return image_uint8
