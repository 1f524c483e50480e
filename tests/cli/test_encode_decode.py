"""``uqdm encode``, ``decode`` and ``info`` as a user runs them, in this process, with the model uqdm-pixel."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import typer
from PIL import Image

from uqdm.cli.main import main
from uqdm.coding.container import pack, parse
from uqdm.images import read_image

MODEL = "uqdm-pixel"


def run(*arguments):
    """Exit status, standard output and standard error of the command line; the model is MODEL unless one is named."""
    if arguments[0] in ("encode", "decode") and "--model" not in arguments:
        arguments += ("--model", MODEL)
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


def test_decode_prints_the_step_and_the_bytes_that_it_used(folder):
    info = json.loads(run("info", folder / "photo.uqdm").stdout)
    ends = [stage["ends_at"] for stage in info["stages"]]
    for options, shown in [
        ((), f"100x64 pixels, lossless, from the first {ends[-1]} bytes"),
        (("--step", 2), f"100x64 pixels, step 2 of 4, from the first {ends[1]} bytes"),
        (("--bytes", ends[2] - 1), f"100x64 pixels, step 2 of 4, from the first {ends[1]} bytes"),
        (("--step", 0, "--bytes", 60), "100x64 pixels, step 0 of 4, from the first "),
        (("--salvage", "--bytes", ends[0]), f"100x64 pixels, step 1 of 4, from the first {ends[0]} bytes"),
    ]:
        done = run("decode", folder / "photo.uqdm", folder / "shown.png", "--force", *options)
        assert (done.returncode, done.stdout) == (0, "")
        assert f"shown.png: {shown}" in done.stderr


def test_too_few_bytes_are_refused_with_the_bytes_that_are_needed(folder):
    info = json.loads(run("info", folder / "photo.uqdm").stdout)
    for options, stage in [((), 0), (("--step", 3), 2)]:
        end = info["stages"][stage]["ends_at"]
        done = run("decode", folder / "photo.uqdm", folder / "few.png", *options, "--bytes", end - 1)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert f"{end - 1} bytes" in done.stderr
        assert done.stderr.endswith(f" {end}\n")
        done = run("decode", folder / "photo.uqdm", folder / "enough.png", *options, "--bytes", end, "--force")
        assert f"step {stage + 1} of 4" in done.stderr


def test_info_has_ideal_bits_by_step(folder):
    info = json.loads(run("info", folder / "photo.uqdm", "--ideal-bits").stdout)
    assert info["model"] == MODEL
    without = {name: value for name, value in info.items() if name != "ideal_bits"}
    assert json.loads(run("info", folder / "photo.uqdm").stdout) == without
    assert len(info["ideal_bits"]) == 5
    stage_bits = [8 * stage["bytes"] for stage in info["stages"]]
    # Each step's bytes are its ideal bits and a little: offsets, rounding, and at most two words looked ahead.
    assert all(0 < spent - ideal < 200 for spent, ideal in zip(stage_bits, info["ideal_bits"], strict=False))


def test_info_reads_header_and_index_alone(folder, monkeypatch):
    """A file of a gigabyte, most of it missing on disk: its content is neither read nor waited for."""
    whole = parse((folder / "photo.uqdm").read_bytes())
    n_bytes = 1 << 30
    streams = [bytes(n_bytes >> 6)] * whole.header.n_stages
    header = replace(whole.header, width=64, height=64)
    head = pack(header, [b"".join(streams)], [[len(streams[0]) * n for n in range(1, len(streams))]], [[0] * 3])
    (folder / "large.uqdm").write_bytes(head[:100])
    os.truncate(folder / "large.uqdm", len(head))
    before, count = _characters_read(), []
    monkeypatch.setattr(typer, "echo", lambda text: count.append((_characters_read(), json.loads(text))))
    assert run("info", folder / "large.uqdm", "--model", MODEL).returncode == 0
    ((after, info),) = count
    assert info["bytes"]["file"] == len(head) > 1 << 25
    assert info["stages_held"] == whole.header.n_stages
    assert after - before < 1 << 22  # mostly the model's weights, whose digest is compared


def _characters_read():
    """Bytes that this process has read from files."""
    return int(re.search(r"rchar: (\d+)", Path("/proc/self/io").read_text())[1])


def test_info_of_a_pipe_counts_its_bytes(folder):
    data = (folder / "photo.uqdm").read_bytes()
    code = "from uqdm.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "info", "-"], input=data, capture_output=True, check=True)
    assert done.stdout.decode() == run("info", folder / "photo.uqdm").stdout


def test_info_names_the_model_or_the_remedy(folder):
    other = Path(__file__).parents[1] / "progressive" / "golden-v1.uqdm"
    info = json.loads(run("info", other).stdout)
    assert info["model"] is None
    assert "--model" in info["note"]
    assert json.loads(run("info", other, "--ideal-bits").stdout) == {**info, "ideal_bits": None}
    named = run("info", other, "--model", other.parent / "golden-v1-model", "--ideal-bits")
    assert len(json.loads(named.stdout)["ideal_bits"]) == 5  # of its four steps and the last stage
    wrong = run("info", other, "--model", MODEL)
    assert wrong.returncode == 1
    assert f"not with {MODEL}" in wrong.stderr


def test_encode_says_that_alpha_was_composited_and_claims_these_pixels_only(folder):
    Image.new("RGBA", (20, 9), (10, 20, 30, 40)).save(folder / "clear.png")
    done = run("encode", folder / "clear.png", folder / "clear.uqdm")
    assert done.returncode == 0, done.stderr
    note = "alpha composited on white; the coded file is exact for these pixels, not for the image file"
    assert f"note: {folder / 'clear.png'}: {note}\n" in done.stderr
    assert run("decode", folder / "clear.uqdm", folder / "clear-back.png").returncode == 0
    back = np.asarray(Image.open(folder / "clear-back.png"))
    assert (back == read_image(folder / "clear.png")).all()
    assert "note:" not in run("encode", folder / "photo.png", folder / "again.uqdm").stderr


def test_salvage_decodes_the_steps_before_the_damage(folder):
    info = json.loads(run("info", folder / "photo.uqdm").stdout)
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
