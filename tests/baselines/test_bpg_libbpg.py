"""BPG by the programs of libbpg: their options and arguments."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("av")

from uqdm.codec import ParameterError, StreamError, codec_class, get_codec
from uqdm_baselines.bpg.header import ColourSpace, PixelFormat, read_header

# Checks its arguments as bpgenc 0.9.8 does, and codes with the built-in writer.
_ENCODER = """
import sys
import numpy as np
from PIL import Image
from uqdm_baselines.bpg.file import write_file
from uqdm_baselines.bpg.header import ColourSpace, FileHeader, PixelFormat

arguments = sys.argv[1:]
chroma, quantiser, lossless, files, target = "420", 29, False, [], "out.bpg"
while arguments:
    option = arguments.pop(0)
    if option == "-f":
        chroma = arguments.pop(0)
        if chroma not in ("420", "422", "444"):
            sys.exit("Invalid chroma format")
    elif option == "-q":
        quantiser = int(arguments.pop(0))
        if not 0 <= quantiser <= 51:
            sys.exit("qp must be between 0 and 51")
    elif option == "-e":
        if arguments.pop(0) not in ("jctvc", "x265"):
            sys.exit("Unsupported encoder")
    elif option == "-o":
        target = arguments.pop(0)
    elif option == "-lossless":
        lossless = True
    elif option.startswith("-"):
        sys.exit(f"{option}: invalid option")
    else:
        files.append(option)
image = np.array(Image.open(files[0]).convert("RGB"))
formats = {"420": PixelFormat.YUV420, "444": PixelFormat.YUV444}
kind = (PixelFormat.YUV444, ColourSpace.RGB) if lossless else (formats[chroma], ColourSpace.BT601)
header = FileHeader(image.shape[1], image.shape[0], *kind)
open(target, "wb").write(write_file(image, header, None if lossless else quantiser, "ultrafast"))
"""
_DECODER = """
import sys
from PIL import Image
from uqdm_baselines.bpg.file import read_file

Image.fromarray(read_file(open(sys.argv[3], "rb").read())).save(sys.argv[2])
"""
SETTINGS: list[tuple[dict[str, Any], tuple[PixelFormat, ColourSpace]]] = [
    ({"quality": 10}, (PixelFormat.YUV420, ColourSpace.BT601)),
    ({"quality": 10, "pixel_format": "444"}, (PixelFormat.YUV444, ColourSpace.BT601)),
    ({"lossless": True}, (PixelFormat.YUV444, ColourSpace.RGB)),
]


def _write_program(path: Path, source: str) -> None:
    path.write_text(f"#!{sys.executable}\n{source}")
    path.chmod(0o755)


@pytest.fixture
def standins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PATH with programs that take the arguments of bpgenc and bpgdec."""
    _write_program(tmp_path / "bpgenc", _ENCODER)
    _write_program(tmp_path / "bpgdec", _DECODER)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("parameters", "allowed"),
    [
        ({"pixel_format": "rgb"}, "420 or 444"),
        ({"pixel_format": "gray"}, "420 or 444"),
        ({"pixel_format": "gray", "lossless": True}, "rgb"),
        ({"pixel_format": "420", "lossless": True}, "rgb"),
        ({"pixel_format": "444", "lossless": True}, "rgb"),
    ],
)
def test_a_pixel_format_that_libbpg_lacks_is_refused_when_the_codec_is_made(
    parameters: dict[str, Any], allowed: str
) -> None:
    wanted = rf"pixel_format={parameters['pixel_format']} .*implementation=libbpg .*allows pixel_format {allowed}$"
    with pytest.raises(ParameterError, match=wanted):
        codec_class("bpg")(implementation="libbpg", **parameters)


def test_libbpg_refuses_a_preset() -> None:
    with pytest.raises(ParameterError, match="implementation=libbpg has no preset"):
        codec_class("bpg")(implementation="libbpg", preset="fast")


def _check_files(parameters: dict[str, Any], kind: tuple[PixelFormat, ColourSpace], image: np.ndarray) -> None:
    """Of a colour picture and of a grey one: the file says the format, and is decoded."""
    codec = get_codec("bpg", implementation="libbpg", **parameters)
    for picture in (image, np.repeat(image[..., :1], 3, axis=-1)):
        (stream,) = codec.encode([picture])
        (decoded,) = codec.decode([stream])
        header, _ = read_header(stream)
        assert (header.pixel_format, header.colour_space) == kind
        if parameters.get("lossless"):
            np.testing.assert_array_equal(decoded, picture)
        else:
            assert np.abs(decoded.astype(int) - picture).mean() < 5


@pytest.mark.slow
@pytest.mark.parametrize(("parameters", "kind"), SETTINGS)
def test_a_stub_of_bpgenc_accepts_every_setting(
    parameters: dict[str, Any],
    kind: tuple[PixelFormat, ColourSpace],
    standins: Path,
    photographs_uint8: list[np.ndarray],
) -> None:
    _check_files(parameters, kind, photographs_uint8[0])


@pytest.mark.skipif(not (shutil.which("bpgenc") and shutil.which("bpgdec")), reason="bpgenc and bpgdec not on PATH")
@pytest.mark.parametrize(("parameters", "kind"), SETTINGS)
def test_the_real_bpgenc_accepts_every_setting(
    parameters: dict[str, Any], kind: tuple[PixelFormat, ColourSpace], photographs_uint8: list[np.ndarray]
) -> None:
    _check_files(parameters, kind, photographs_uint8[0])


def test_a_file_of_another_format_than_requested_is_refused(
    standins: Path, photographs_uint8: list[np.ndarray]
) -> None:
    _write_program(standins / "bpgenc", _ENCODER.replace("lossless else", "True else"))  # always codes RGB
    codec = get_codec("bpg", implementation="libbpg", quality=30)
    with pytest.raises(RuntimeError, match=r"bpgenc wrote .*RGB.* instead of .*YUV420"):
        codec.encode(photographs_uint8[:1])


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        ("b'P6'", "the picture that bpgdec wrote"),
        ("open(sys.argv[3], 'rb').read()", "the picture that bpgdec wrote"),
        ("b'\\x89PNG\\r\\n\\x1a\\n'", "the picture that bpgdec wrote"),
        ("b'P6 3 2 255 ' + bytes(18)", "another size than the header says"),
    ],
)
def test_output_of_bpgdec_is_read_by_the_rule_for_images(
    picture: str, reason: str, standins: Path, photographs_uint8: list[np.ndarray]
) -> None:
    _write_program(standins / "bpgdec", f"import sys\nopen(sys.argv[2], 'wb').write({picture})\n")
    (stream,) = get_codec("bpg").encode([photographs_uint8[0]])
    with pytest.raises(StreamError, match=reason):
        get_codec("bpg", implementation="libbpg").decode([stream])
