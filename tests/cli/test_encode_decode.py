"""``uqdm encode``, ``decode`` and ``info`` as a user runs them, in this process."""

import contextlib
import io
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from uqdm.cli.main import main


def run(*arguments):
    """Exit status, standard output and standard error of the command line."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    before, sys.argv = sys.argv, ["uqdm", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        sys.argv = before
    return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())


@pytest.fixture(scope="module")
def folder(tmp_path_factory, photographs_uint8):
    path = tmp_path_factory.mktemp("files")
    Image.fromarray(np.concatenate(photographs_uint8[:2], axis=1)[:, :100]).save(path / "photo.png")
    done = run("encode", path / "photo.png", path / "photo.uqdm")
    assert done.returncode == 0, done.stderr
    return path


def test_a_file_decodes_to_the_image(folder):
    done = run("decode", folder / "photo.uqdm", folder / "back.png")
    assert done.returncode == 0, done.stderr
    assert (np.asarray(Image.open(folder / "back.png")) == np.asarray(Image.open(folder / "photo.png"))).all()


def test_a_step_and_its_bytes_give_the_same_picture(folder):
    info = json.loads(run("info", folder / "photo.uqdm").stdout)
    assert (info["width"], info["height"], info["format_version"]) == (100, 64, 2)
    assert info["bytes"]["file"] == (folder / "photo.uqdm").stat().st_size
    end = info["stages"][1]["ends_at"]
    assert run("decode", folder / "photo.uqdm", folder / "step.png", "--step", 2).returncode == 0
    assert run("decode", folder / "photo.uqdm", folder / "bytes.png", "--bytes", end).returncode == 0
    assert (folder / "step.png").read_bytes() == (folder / "bytes.png").read_bytes()


def test_info_has_ideal_bits_by_step(folder):
    info = json.loads(run("info", folder / "photo.uqdm").stdout)
    assert info["model"] == "uqdm-demo"
    assert len(info["ideal_bits"]) == 5
    stage_bits = [8 * stage["bytes"] for stage in info["stages"]]
    # Each step's bytes are its ideal bits and a little: offsets, rounding, and at most two words looked ahead.
    assert all(0 < spent - ideal < 200 for spent, ideal in zip(stage_bits, info["ideal_bits"], strict=False))


def test_salvage_decodes_the_steps_before_the_damage(folder):
    info = json.loads(run("info", folder / "photo.uqdm", "--no-ideal").stdout)
    data = bytearray((folder / "photo.uqdm").read_bytes())
    data[info["stages"][2]["ends_at"] - 50] ^= 4
    (folder / "bad.uqdm").write_bytes(data)
    assert "step 3 of the file is damaged" in run("decode", folder / "bad.uqdm", folder / "bad.png").stderr
    done = run("decode", folder / "bad.uqdm", folder / "bad.png", "--salvage")
    assert done.returncode == 0
    assert "step 2 is whole" in done.stderr
    assert run("decode", folder / "photo.uqdm", folder / "two.png", "--step", 2).returncode == 0
    assert (folder / "bad.png").read_bytes() == (folder / "two.png").read_bytes()


def test_errors_are_one_line_and_leave_nothing_behind(folder):
    for arguments, message in [
        (("decode", folder / "photo.png", folder / "x.png"), "photo.png: not a UQDM file"),
        (("decode", folder / "photo.uqdm", folder / "x.unknown"), "unknown kind of image"),
        (("encode", folder / "photo.uqdm", folder / "x.uqdm"), "photo.uqdm: not an image of a known format"),
        (("decode", folder / "photo.uqdm", folder / "x.png", "--model", "nosuch"), "no model 'nosuch'"),
        (("info", folder / "photo.png"), "photo.png: not a UQDM file"),
    ]:
        done = run(*arguments)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    assert not list(folder.glob("*x.*"))
