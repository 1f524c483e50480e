"""Programs as codecs: real programs where they are installed, and a small script of our own for the rest."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from baselines.program import Program
from uqdm.bench.measure import measure_images
from uqdm.bench.pictures import picture_sha256
from uqdm.bench.requests import format_request, parse_request, requests_from_mapping, resolve
from uqdm.codec import Codec, CodecUnavailableError, ParameterError, StreamError, get_codec, register_codec

COPY = "cp {input} {output}"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "programs.md"


def _blocks(language: str) -> list[str]:
    return [block.split("\n", 1)[1] for block in DOCS.read_text().split("```")[1::2] if block.startswith(language)]


def _of_the_docs(index: int, program: str) -> list[dict[str, Any]]:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    return yaml.safe_load(_blocks("yaml")[index])["program"]


def _psnr_db(codec: Codec, images: list[np.ndarray]) -> float:
    decoded = codec.decode(codec.encode(images))
    return float(10 * np.log10(255**2 / np.mean((np.array(decoded, float) - np.array(images)) ** 2)))


def _script(folder: Path, body: str) -> str:
    """A command that runs these lines of Python with the two files as arguments."""
    path = folder / "script.py"
    path.write_text(f"import os, sys, time\n{body}\n")
    return f"{sys.executable} {path} {{input}} {{output}}"


def test_cjxl_as_the_docs_show_it(photographs_uint8: list[np.ndarray]) -> None:
    codecs = [get_codec("program", **settings) for settings in _of_the_docs(0, "cjxl")]
    assert codecs[0].version.startswith("cjxl v")
    assert codecs[0].encode(photographs_uint8[:1])[0].startswith(b"\xff\x0a")  # a bare JPEG XL codestream
    quality = [_psnr_db(codec, photographs_uint8[:3]) for codec in codecs]
    assert quality == sorted(quality)
    assert quality[-1] > 30


def test_opj_compress_as_the_docs_show_it(photographs_uint8: list[np.ndarray]) -> None:
    (settings,) = _of_the_docs(1, "opj_compress")
    codec = get_codec("program", **settings)
    assert "openjp2 library v" in codec.version
    twin = get_codec("jpeg2000", layers="20,10,5", transform="ict-9/7")
    for stream, other in zip(codec.encode(photographs_uint8[:3]), twin.encode(photographs_uint8[:3]), strict=True):
        assert abs(len(stream) - len(other)) <= 64  # comment and boxes may differ between two releases
    difference = _psnr_db(codec, photographs_uint8[:3]) - _psnr_db(twin, photographs_uint8[:3])
    assert abs(difference) < 0.5


def test_the_class_of_the_docs_is_a_codec_of_its_own(photographs_uint8: list[np.ndarray]) -> None:
    if shutil.which("cjxl") is None:
        pytest.skip("cjxl is not installed")
    names: dict[str, Any] = {"__name__": "cjxl_codec"}
    exec(_blocks("python")[0], names)
    codec = get_codec(register_codec(names["CJXL"]).name, quality=50)
    assert codec.decode(codec.encode(photographs_uint8[:1]))[0].shape == (64, 64, 3)


def test_rows_carry_rate_version_and_container(photographs_uint8: list[np.ndarray]) -> None:
    codec = get_codec("program", encode=COPY, decode=COPY, suffix=".png", picture=".ppm")
    measured = measure_images(codec, codec, photographs_uint8[:2])
    sizes = [8 * len(stream) for stream in measured.streams if stream is not None]
    assert [row["file_bits"] for row in measured.rows] == sizes == [8 * (13 + 64 * 64 * 3)] * 2  # "P6 64 64 255"
    assert [row["picture_sha256"] for row in measured.rows] == [
        picture_sha256(image) for image in photographs_uint8[:2]
    ]
    assert codec.container_bits == 8 * (11 + 3)
    assert codec.version.startswith("cp sha256:")


def test_a_program_that_fails_ends_the_row_with_what_it_printed(
    photographs_uint8: list[np.ndarray], tmp_path: Path
) -> None:
    command = _script(tmp_path, "print('x' * 9999, file=sys.stderr); sys.exit('no such colour')")
    codec = get_codec("program", encode=command, decode=COPY)
    (row,) = measure_images(codec, codec, photographs_uint8[:1]).rows
    assert row["status"] == "failed"
    assert "failed with status 1: ..." in row["error"]
    assert row["error"].endswith("no such colour")


def test_a_stream_that_the_program_refuses_is_a_stream_error(tmp_path: Path) -> None:
    codec = get_codec("program", encode=COPY, decode=_script(tmp_path, "sys.exit('bad magic')"))
    with pytest.raises(StreamError, match="bad magic"):
        codec.decode([b"junk"])
    with pytest.raises(StreamError, match="cannot identify"):
        get_codec("program", encode=COPY, decode=COPY).decode([b"junk"])


def test_a_program_that_writes_nothing_is_told_so(photographs_uint8: list[np.ndarray]) -> None:
    codec = get_codec("program", encode="true {input} {output}", decode=COPY, suffix=".xyz")
    with pytest.raises(RuntimeError, match=r"wrote no output\.xyz: it printed nothing"):
        codec.encode(photographs_uint8[:1])


def test_a_program_out_of_time_is_killed_with_its_children(photographs_uint8: list[np.ndarray], tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    body = f"child = os.fork() or time.sleep(60)\nopen({str(pid)!r}, 'w').write(str(child))\ntime.sleep(60)"
    codec = get_codec("program", encode=_script(tmp_path, body), decode=COPY, timeout_s=1)
    started = time.monotonic()
    with pytest.raises(RuntimeError, match="was stopped after 1 s"):
        codec.encode(photographs_uint8[:1])
    assert time.monotonic() - started < 10
    assert not _alive(int(pid.read_text()))


def _alive(pid: int) -> bool:
    """True if a process runs; one that is dead but not yet reaped by its new parent does not."""
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(50):
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return False
        except (FileNotFoundError, ProcessLookupError):
            return False
        time.sleep(0.1)
    return True


def test_no_shell_reads_a_value_and_no_value_becomes_two_arguments(
    photographs_uint8: list[np.ndarray], tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    body = "open(sys.argv[2], 'w').write(repr(sys.argv[3:]))"
    quality = f"1 2; touch {marker} $(touch {marker}) {{input}}"
    codec = get_codec("program", encode=_script(tmp_path, body) + " -q {quality}", decode=COPY, quality=quality)
    (stream,) = codec.encode(photographs_uint8[:1])
    assert stream.decode() == repr(["-q", quality])
    assert not marker.exists()


def test_each_call_has_a_folder_of_its_own_that_is_gone_afterwards(
    photographs_uint8: list[np.ndarray], tmp_path: Path
) -> None:
    body = "open('left behind', 'x')\nopen(sys.argv[2], 'w').write(os.getcwd())"
    codec = get_codec("program", encode=_script(tmp_path, body), decode=COPY)
    folders = [stream.decode() for stream in codec.encode(photographs_uint8[:3])]
    assert len(set(folders)) == 3
    assert not any(os.path.exists(folder) for folder in folders)


def test_the_version_changes_with_the_script(tmp_path: Path) -> None:
    codec = get_codec("program", encode=_script(tmp_path, "1"), decode=COPY)
    before = codec.version
    _script(tmp_path, "2")
    os.utime(tmp_path / "script.py", ns=(1, 1))
    assert codec.version != before


def test_a_program_that_is_not_installed_is_skipped_with_the_reason() -> None:
    missing = {"encode": "no-such-program {input} {output}", "decode": COPY}
    candidates = resolve(requests_from_mapping({"program": [missing]}))["program"]
    assert "no program 'no-such-program' on PATH" in str(candidates[0].missing)
    unset = resolve(requests_from_mapping({"program": None}))["program"]
    assert "told no program; set encode and decode" in str(unset[0].missing)
    with pytest.raises(CodecUnavailableError, match="told no program"):
        get_codec("program").encode([np.zeros((1, 1, 3), np.uint8)])


def test_the_suffix_of_the_setting_is_that_of_the_streams() -> None:
    (candidate,) = resolve([parse_request(f"program:encode={COPY},decode={COPY},suffix=.xyz")])["program"]
    assert candidate.suffix == ".xyz"


def test_settings_pass_a_command_line_unchanged() -> None:
    settings = {"encode": "opj -i {input} -o {output} -r {quality} -a=1", "decode": COPY, "quality": "20,10,5"}
    (request,) = requests_from_mapping({"program": settings})
    assert parse_request(format_request(request)) == request


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"encode": COPY}, "set both encode and decode"),
        ({"encode": "cp {input} out", "decode": COPY}, "must both be in it"),
        ({"encode": "cp {input} {output} {speed}", "decode": COPY}, "{speed} is not one of"),
        ({"encode": "cp {input} {output} {quality}", "decode": COPY}, "set quality too"),
        ({"encode": "cp '{input} {output}", "decode": COPY}, "No closing quotation"),
        ({"encode": COPY, "decode": COPY, "suffix": "../x"}, "expected a dot and letters"),
        ({"encode": COPY, "decode": COPY, "quality": "1,a=2"}, "would read as another parameter"),
        ({"encode": COPY, "decode": COPY, "timeout_s": 0}, "at least"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_runs(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Program(**values)
