"""The parts of BPG: numbers in bits, coding tools, parameter sets, colour, and the programs of libbpg."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("av")

from uqdm.codec import CodecUnavailableError, ParameterError, StreamError, get_codec
from uqdm_baselines.bpg import colour, hevc, libbpg, nal
from uqdm_baselines.bpg.bits import BitReader, BitWriter, read_ue7, write_ue7
from uqdm_baselines.bpg.colour import to_image, to_planes
from uqdm_baselines.bpg.file import read_file
from uqdm_baselines.bpg.header import ColourSpace, FileHeader, PixelFormat, read_header
from uqdm_baselines.bpg.parameter_sets import read_sequence_set, write_parameter_sets
from uqdm_baselines.bpg.tools import CodingTools, PulseCode, RangeExtension, check_payload, read_tools, write_tools

pytestmark = pytest.mark.slow

TOOLS = CodingTools(3, 3, 2, 3, 2, 1, None, 1, None)


# ---- bits ---------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
def test_byte_codes_round_trip(value: int) -> None:
    assert read_ue7(b"\xff" + write_ue7(value) + b"\xff", 1) == (value, 1 + len(write_ue7(value)))


@pytest.mark.parametrize(("value", "code"), [(8, "08"), (542, "841e"), (728855, "acbe17")])
def test_byte_codes_are_those_of_the_specification(value: int, code: str) -> None:
    assert write_ue7(value).hex() == code  # BPG specification, section 2


@pytest.mark.parametrize("code", ["8001", "ff", "", "ffffffffff", "9fffffff7f", "ffffffffff7f"])
def test_byte_codes_that_are_cut_long_or_padded_are_refused(code: str) -> None:
    with pytest.raises(StreamError):
        read_ue7(bytes.fromhex(code), 0)


@given(st.lists(st.integers(0, 2**31)))
def test_exp_golomb_codes_round_trip(values: list[int]) -> None:
    writer = BitWriter()
    for value in values:
        writer.put_ue(value)
    reader = BitReader(writer.aligned())
    assert [reader.take_ue() for _ in values] == values


def test_an_exp_golomb_code_of_zeros_is_refused() -> None:
    with pytest.raises(StreamError, match="more than 32 bits"):
        BitReader(bytes(1000)).take_ue()
    with pytest.raises(StreamError, match="cut short"):
        BitReader(bytes(2)).take_ue()


@given(st.lists(st.sampled_from([0, 1, 2, 3, 4, 255])).map(bytes))
def test_a_unit_contains_no_start_code(data: bytes) -> None:
    unit = nal.make_unit(nal.PPS, data + b"\x80")
    assert nal.START_CODE not in unit
    assert b"\0\0\0" not in unit
    assert nal.payload(unit) == data + b"\x80"
    assert nal.split_units(nal.join_units([unit, unit])) == [unit, unit]


# ---- coding tools -------------------------------------------------------------------------------------------


def test_bytes_of_the_coding_tools_follow_the_syntax() -> None:
    # ue(0) ue(3) ue(0) ue(3) ue(2), then SAO, no PCM, strong smoothing, no extension:
    # 1 00100 1 00100 011 1 0 1 0, and zeros up to a whole byte
    assert write_tools(TOOLS).hex() == "03" + "924740"


PCM = PulseCode(7, 7, 0, 2, 1)
EXTENSION = RangeExtension(transform_skip_context=1, persistent_rice_adaptation=1)


@pytest.mark.parametrize("pcm", [None, PCM])
@pytest.mark.parametrize("extension", [None, EXTENSION])
@pytest.mark.parametrize("pixel_format", list(PixelFormat))
def test_coding_tools_round_trip_in_files_and_parameter_sets(
    pcm: PulseCode | None, extension: RangeExtension | None, pixel_format: PixelFormat
) -> None:
    tools = CodingTools(3, 2, 2, 3, 3, 0, pcm, 0, extension)
    assert read_tools(write_tools(tools) + b"data") == (tools, b"data")
    _, sequence_set = write_parameter_sets(tools, 48, 200, pixel_format)
    assert read_sequence_set(sequence_set) == (tools, 48, 200)


@pytest.mark.parametrize(
    "tools",
    [
        CodingTools(3, 0, 2, 1, 0, 1, None, 1, None),  # tree blocks of 8
        CodingTools(3, 4, 2, 3, 0, 1, None, 1, None),  # tree blocks of 128
        CodingTools(3, 3, 3, 2, 0, 1, None, 1, None),  # transforms no smaller than coding blocks
        CodingTools(3, 3, 2, 4, 0, 1, None, 1, None),  # transforms of 64
        CodingTools(3, 3, 2, 3, 5, 1, None, 1, None),  # too many splits
        CodingTools(3, 3, 2, 3, 2, 1, PulseCode(8, 7, 0, 2, 1), 1, None),
        CodingTools(3, 3, 2, 3, 2, 1, PulseCode(7, 7, 1, 2, 1), 1, None),
    ],
)
def test_block_sizes_out_of_bounds_are_refused(tools: CodingTools) -> None:
    with pytest.raises(StreamError, match="do not fit together"):
        read_tools(write_tools(tools) + b"data")


def _with_extension(extension: RangeExtension, image: np.ndarray) -> tuple[bytes, np.ndarray]:
    (stream,) = get_codec("bpg", lossless=True).encode([image])
    header, picture = read_header(stream)
    tools, data = read_tools(picture)
    changed = CodingTools(**{**vars(tools), "range_extension": extension})
    picture = write_tools(changed) + data
    return header.to_bytes(len(picture)) + picture, image


def test_an_empty_range_extension_changes_nothing(photographs_uint8: list[np.ndarray]) -> None:
    stream, image = _with_extension(RangeExtension(), photographs_uint8[0])
    np.testing.assert_array_equal(read_file(stream), image)


def test_lossless_files_of_bpgenc_are_refused_with_a_remedy(photographs_uint8: list[np.ndarray]) -> None:
    # the flags that bpgenc -e jctvc -lossless sets
    extension = RangeExtension(implicit_rdpcm=1, persistent_rice_adaptation=1)
    stream, _ = _with_extension(extension, photographs_uint8[0])
    with pytest.raises(StreamError, match=r"implicit RDPCM.*wrong pixels; decode it with bpgdec"):
        get_codec("bpg").decode([stream])


def test_tools_that_bpg_forbids_are_refused(photographs_uint8: list[np.ndarray]) -> None:
    stream, _ = _with_extension(RangeExtension(cabac_bypass_alignment=1), photographs_uint8[0])
    with pytest.raises(StreamError, match="cabac_bypass_alignment, which BPG does not allow"):
        get_codec("bpg").decode([stream])


def test_the_bound_of_pixels_by_bytes_holds_for_the_flattest_picture() -> None:
    (stream,) = get_codec("bpg", quality=51).encode([np.full((2048, 2048, 3), 128, np.uint8)])
    _, picture = read_header(stream)
    tools, data = read_tools(picture)
    check_payload(tools, 2048, 2048, len(data))
    with pytest.raises(StreamError, match="bytes of HEVC data can hold"):
        check_payload(tools, 2048, 2048, 100)


# ---- colour -------------------------------------------------------------------------------------------------


def _noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_ycc_is_that_of_bt601() -> None:
    image = _noise(64, 64, 3)
    planes = to_planes(image, FileHeader(64, 64, PixelFormat.YUV444))
    red, green, blue = np.moveaxis(image.astype(float), -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    expected = [luma, (blue - luma) / 1.772 + 128, (red - luma) / 1.402 + 128]
    for plane, wanted in zip(planes, expected, strict=True):
        # rounded to the nearest, up to the coefficients' 23 bits
        assert np.abs(plane - np.clip(wanted, 0, 255)).max() < 0.501


@pytest.mark.parametrize(
    ("space", "red", "blue"),
    [(ColourSpace.BT601, 0.299, 0.114), (ColourSpace.BT709, 0.2126, 0.0722), (ColourSpace.BT2020, 0.2627, 0.0593)],
)
@pytest.mark.parametrize("limited", [False, True])
def test_rgb_is_that_of_the_colour_space(space: ColourSpace, red: float, blue: float, limited: bool) -> None:
    planes = list(_noise(3, 64, 64))
    image = to_image(planes, FileHeader(64, 64, PixelFormat.YUV444, space, limited))
    luma, cb, cr = (plane.astype(float) for plane in planes)
    luma, cb, cr = (
        ((luma - 16) / 219, (cb - 128) / 224, (cr - 128) / 224)
        if limited
        else (luma / 255, (cb - 128) / 255, (cr - 128) / 255)
    )
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    expected = 255 * np.stack([r, (luma - red * r - blue * b) / (1 - red - blue), b], axis=-1)
    assert np.abs(image - np.clip(expected, 0, 255)).max() < 0.501


def test_ycgco_is_exact() -> None:
    luma, cg, co = (np.array([[value]], np.uint8) for value in (100, 130, 120))
    image = to_image([luma, cg, co], FileHeader(1, 1, PixelFormat.YUV444, ColourSpace.YCGCO))
    assert image.tolist() == [[[100 - 2 - 8, 100 + 2, 100 - 2 + 8]]]  # H.273, matrix 8


HALVE = {-4: 2, -3: -4, -2: -8, -1: 17, 0: 57, 1: 57, 2: 17, 3: -8, 4: -4, 5: 2}
DOUBLE = {-3: -1, -2: 4, -1: -10, 0: 57, 1: 18, 2: -6, 3: 2}


def _at(values: np.ndarray, row: int, column: int) -> int:
    height, width = values.shape
    return int(values[min(max(row, 0), height - 1), min(max(column, 0), width - 1)])


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (9, 16), (15, 7)])
def test_chroma_is_halved_by_the_filter_of_the_format(size: tuple[int, int]) -> None:
    image = _noise(*size, 3)
    full = to_planes(image, FileHeader(size[1], size[0], PixelFormat.YUV444))
    halved = to_planes(image, FileHeader(size[1], size[0], PixelFormat.YUV420))
    for plane, result in zip(full[1:], halved[1:], strict=True):
        across = [
            [sum(t * _at(plane, y, 2 * x + k) for k, t in HALVE.items()) + 1 >> 1 for x in range(-(-size[1] // 2))]
            for y in range(size[0])
        ]
        for (y, x), value in np.ndenumerate(result):
            down = sum(tap * _at(np.array(across), 2 * y + k, x) for k, tap in HALVE.items())
            assert value == min(max(down + 4096 >> 13, 0), 255)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (9, 16), (15, 7)])
def test_chroma_is_doubled_by_the_filter_of_the_format(size: tuple[int, int]) -> None:
    height, width = size
    chroma = _noise(2, -(-height // 2), -(-width // 2))
    full = colour._full_chroma(chroma, size, PixelFormat.YUV420)
    for plane, result in zip(chroma, full, strict=True):
        for (y, x), value in np.ndenumerate(result):
            # an even sample is before the middle of its pair: the taps are mirrored
            down, across = ({k if side % 2 else -k: tap for k, tap in DOUBLE.items()} for side in (y, x))
            total = sum(s * t * _at(plane, y // 2 + i, x // 2 + j) for i, s in down.items() for j, t in across.items())
            assert value == min(max(total + 2048 >> 12, 0), 255)


@pytest.mark.parametrize("pixel_format", list(PixelFormat))
@pytest.mark.parametrize("height", [1, 33, 90, 97])
def test_bands_of_rows_join_without_a_seam(
    pixel_format: PixelFormat, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, columns = colour.chroma_size(height, 21, pixel_format)
    planes = [_noise(height, 21), *_noise(2, rows, columns)][: 1 if pixel_format == PixelFormat.GRAY else 3]
    header = FileHeader(21, height, pixel_format)
    whole = to_image(planes, header)
    monkeypatch.setattr(colour, "_BAND", 16)
    np.testing.assert_array_equal(to_image(planes, header), whole)


def test_422_is_supported(photographs_uint8: list[np.ndarray]) -> None:
    full = to_planes(photographs_uint8[0], FileHeader(64, 64, PixelFormat.YUV444))
    planes = [full[0], full[1][:, ::2], full[2][:, ::2]]
    units = nal.split_units(hevc.encode_picture(planes, PixelFormat.YUV422, hevc.Effort(None, "fast", 8)))
    tools, height, width = read_sequence_set(units[1])
    picture = write_tools(tools) + nal.join_units(units[2:]).removeprefix(nal.START_CODE)
    header = FileHeader(width, height, PixelFormat.YUV422)
    np.testing.assert_array_equal(read_file(header.to_bytes(len(picture)) + picture), to_image(planes, header))


# ---- libbpg -------------------------------------------------------------------------------------------------

# Stands in for both programs: takes their command lines, and codes with the built-in implementation.
_PROGRAM = """#!{python}
import sys
import numpy as np
from PIL import Image
from uqdm.codec import get_codec
arguments = sys.argv[1:]
if arguments == ["-h"]:
    sys.exit(print("BPG Image Encoder version 0.9.8") or 1)
target, source = arguments[arguments.index("-o") + 1], arguments[-1]
if sys.argv[0].endswith("bpgdec"):
    with open(source, "rb") as file:
        Image.fromarray(get_codec("bpg").decode([file.read()])[0]).save(target)
else:
    with open({log!r}, "a") as log:
        print(*arguments[: arguments.index("-o")], file=log)
    setting = {{"lossless": True}} if "-lossless" in arguments else {{"quality": int(arguments[5])}}
    with open(target, "wb") as file:
        file.write(get_codec("bpg", **setting).encode([np.array(Image.open(source))])[0])
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the stand-ins on PATH; the file into which bpgenc writes its arguments."""
    log = tmp_path / "arguments"
    for name in (libbpg.ENCODER, libbpg.DECODER):
        program = tmp_path / name
        program.write_text(_PROGRAM.format(python=sys.executable, log=str(log)))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    libbpg.version.cache_clear()
    return log


def test_the_programs_of_libbpg_are_called_as_the_paper_did(
    programs: Path, photographs_uint8: list[np.ndarray]
) -> None:
    settings: list[dict[str, Any]] = [{"quality": 30}, {"lossless": True}]
    for setting in settings:
        codec = get_codec("bpg", implementation="libbpg", **setting)
        assert codec.version == "libbpg 0.9.8, encoder jctvc"
        builtin = get_codec("bpg", **setting)
        streams = builtin.encode(photographs_uint8[:1])
        assert codec.encode(photographs_uint8[:1]) == streams
        np.testing.assert_array_equal(codec.decode(streams), builtin.decode(streams))
    assert programs.read_text().splitlines() == ["-e jctvc -f 420 -q 30", "-e jctvc -lossless"]


def test_the_reason_contains_the_output_of_bpgdec(programs: Path, photographs_uint8: list[np.ndarray]) -> None:
    codec = get_codec("bpg", implementation="libbpg")
    (stream,) = codec.encode(photographs_uint8[:1])
    header, picture = read_header(stream)
    with pytest.raises(StreamError, match=r"bpg: bpgdec failed with exit status 1: .*StreamError"):
        codec.decode([header.to_bytes(5) + picture[:5]])


def test_missing_programs_are_reported_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CodecUnavailableError, match="bpgenc and bpgdec not found; build libbpg"):
        get_codec("bpg", implementation="libbpg")


def test_only_libx265_has_a_preset() -> None:
    with pytest.raises(ParameterError, match="has no preset"):
        get_codec("bpg", implementation="libbpg", preset="fast")


def test_a_missing_pyav_is_reported_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(CodecUnavailableError, match=r'PyAV does not import: .*; pip install "uqdm\[codecs\]"'):
        get_codec("bpg")
