"""The page on adding a codec, followed exactly: its blocks are written to files, installed and run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```\w+\n# ([\w./]+)(?:, [^\n]*)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def blocks() -> list[tuple[str, str]]:
    """File name and text of each block of the page that begins with a file's name."""
    return BLOCK.findall((ROOT / "docs" / "add-a-codec.md").read_text(encoding="utf-8"))


def _text(blocks: list[tuple[str, str]], name: str, occurrence: int = 0) -> str:
    return [text for file, text in blocks if file == name][occurrence]


def _python(*arguments: str, path: Path | None = None, cwd: Path | None = None) -> str:
    environment = dict(os.environ)
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _install(package: Path, target: Path) -> None:
    """Installs a package folder with pip, without a network, so that its own pyproject.toml is what registers it."""
    without_network = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    _python("-m", "pip", "install", "--quiet", *without_network, "--target", str(target), str(package))


def _register_by_hand(site: Path, entry_point: str) -> None:
    information = site / "page-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: page\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[uqdm.codecs]\n{entry_point}\n")


def _try(blocks: list[tuple[str, str]], codec: str, site: Path, folder: Path) -> list[str]:
    script = folder / "try_codec.py"
    script.write_text(_text(blocks, "try_codec.py"))
    return _python(str(script), codec, path=site).splitlines()


def test_a_codec_of_another_package_is_found_and_round_trips(blocks: list[tuple[str, str]], tmp_path: Path) -> None:
    package, site = tmp_path / "package", tmp_path / "site"
    package.mkdir()
    for name in ("pyproject.toml", "deflate_codec.py"):
        (package / name).write_text(_text(blocks, name))
    _install(package, site)
    lines = _try(blocks, "deflate", site, tmp_path)
    assert len(lines) == 5 * 5  # settings x images
    assert all(line.endswith("mean squared error 0.00") for line in lines if line.startswith("step=1:"))
    assert not any(line.endswith("mean squared error 0.00") for line in lines[-5:-1])  # step=32, photographs


def test_a_codec_in_this_project_takes_one_file_and_one_line(blocks: list[tuple[str, str]], tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(ROOT / "uqdm_baselines", site / "uqdm_baselines", ignore=shutil.ignore_patterns("__pycache__"))
    (site / "uqdm_baselines" / "tiff.py").write_text(_text(blocks, "uqdm_baselines/tiff.py"))
    ((name, value),) = tomllib.loads(_text(blocks, "pyproject.toml", occurrence=1)).items()
    _register_by_hand(site, f"{name} = {value}")
    lines = _try(blocks, "tiff", site, tmp_path)
    assert len(lines) == 5
    assert all(line.endswith("mean squared error 0.00") for line in lines)


def test_a_progressive_codec_gives_a_row_for_each_point(blocks: list[tuple[str, str]], tmp_path: Path) -> None:
    site = tmp_path / "site"
    _register_by_hand(site, "bitplanes = bitplane_codec:BitPlanes")
    (site / "bitplane_codec.py").write_text(_text(blocks, "bitplane_codec.py"))
    assert all(line.endswith("mean squared error 0.00") for line in _try(blocks, "bitplanes", site, tmp_path))
    script = (
        "from uqdm.bench.datasets import open_dataset; from uqdm.bench.evaluation.measure import measure_images\n"
        "from uqdm.bench.metrics.psnr import psnr_db\n"
        "from uqdm.codec import get_codec\n"
        "codec = get_codec('bitplanes')\n"
        "image = open_dataset('demo', 1).load(0)\n"
        "measured = measure_images(codec, codec, [image])\n"
        "for row, picture in zip(measured.rows, codec.reconstructions(measured.streams[0]), strict=True):\n"
        "    psnr = psnr_db(image, picture.image_uint8)\n"
        "    print(row['status'], row['point'], row['file_bits'], psnr, row['ideal_bits'])"
    )
    rows = [line.split() for line in _python("-c", script, path=site).splitlines()]
    assert [row[:2] for row in rows] == [["ok", f"plane-{plane}"] for plane in range(1, 9)]
    bits, psnr_db, ideal_bits = ([float(row[column]) for row in rows] for column in (2, 3, 4))
    assert bits == sorted(set(bits))
    assert psnr_db == sorted(set(psnr_db))
    assert psnr_db[-1] == float("inf")
    assert ideal_bits == [64 * 64 * 3 * plane for plane in range(1, 9)]


@pytest.mark.parametrize(
    ("module", "entry_point", "codec"),
    [
        ("deflate_codec.py", "deflate = deflate_codec:Deflate", "deflate"),
        ("bitplane_codec.py", "bitplanes = bitplane_codec:BitPlanes", "bitplanes"),
    ],
)
def test_the_examples_refuse_damaged_streams(
    module: str, entry_point: str, codec: str, blocks: list[tuple[str, str]], tmp_path: Path
) -> None:
    site = tmp_path / "site"
    _register_by_hand(site, entry_point)
    (site / module).write_text(_text(blocks, module))
    script = (
        "import numpy as np; from uqdm.codec import StreamError, get_codec\n"
        f"codec = get_codec({codec!r})\n"
        "(stream,) = codec.encode([np.arange(300, dtype=np.uint8).reshape(10, 10, 3)])\n"
        "for damaged in [stream[:end] for end in range(len(stream))] + [b'junk' * 30]:\n"
        "    try: codec.decode([damaged])\n"
        "    except StreamError: print('refused')\n"
        "print(len(stream) + 1)"
    )
    *refused, expected = _python("-c", script, path=site).splitlines()
    assert len(refused) == int(expected)


STAGES = (["evaluate"], ["score"])


def test_every_command_on_the_page_has_the_options_it_names(blocks: list[tuple[str, str]]) -> None:
    page = (ROOT / "docs" / "add-a-codec.md").read_text(encoding="utf-8")
    (commands,) = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    options = set(re.findall(r"--[\w-]+", commands))
    assert options == {"--dataset", "--limit", "--codec", "--out", "--run"}
    shown = [_python("-c", "from uqdm.cli.main import main; main()", "bench", *stage, "--help") for stage in STAGES]
    assert all(any(option in text for text in shown) for option in options)
