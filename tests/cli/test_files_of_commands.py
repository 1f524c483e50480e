"""Files of ``uqdm encode``, ``decode`` and ``info``: nothing is lost by mistake, messages name the file."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uqdm.cli.decode import decode
from uqdm.cli.encode import encode
from uqdm.cli.info import info
from uqdm.cli.main import main
from uqdm.images import ImageError, read_image
from uqdm.output import OutputError

STANDARD = Path("-")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, photographs_uint8: list[np.ndarray]) -> Path:
    """A folder with two pictures and the first one's coded file."""
    folder = tmp_path_factory.mktemp("files")
    for name, image in zip(("a.png", "b.png"), photographs_uint8, strict=False):
        Image.fromarray(image[:20, :24]).save(folder / name)
    encode(folder / "a.png", folder / "a.uqdm")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a copy of them."""
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Streams:
    """Standard input and output as bytes, no terminals."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, given: bytes) -> None:
        self.out = io.TextIOWrapper(io.BytesIO(), write_through=True)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        monkeypatch.setattr(sys, "stdout", self.out)

    @property
    def written(self) -> bytes:
        return self.out.buffer.getvalue()  # type: ignore[attr-defined, no-any-return]


def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit status and standard error of the command line, in this process."""
    monkeypatch.setattr(sys, "argv", ["uqdm", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0), capfd.readouterr().err


def test_two_pictures_are_refused_and_neither_is_touched(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    for target in ("b.png", "a.png", "new.jpg", "new.JXL", "new.pgm"):
        with pytest.raises(OutputError, match=f"^{target}: the name of a picture"):
            encode(Path("a.png"), Path(target))
    (folder / "picture").write_bytes(before["b.png"])
    (folder / "notes.txt").write_text("mine")
    for target, reason in (("picture", "is a picture"), ("notes.txt", "not an earlier output")):
        with pytest.raises(OutputError, match=reason):
            encode(Path("a.png"), Path(target))
    encode(Path("a.png"), Path("a.uqdm"))
    encode(Path("b.png"), Path("notes.txt"), force=True)
    assert (folder / "notes.txt").read_bytes()[:2] == b"UQ"
    assert all((folder / name).read_bytes() == data for name, data in before.items())


def test_decode_does_not_replace_an_existing_picture(folder: Path) -> None:
    before = (folder / "b.png").read_bytes()
    (folder / "link.png").symlink_to("b.png")
    (folder / "hard.png").hardlink_to("a.uqdm")
    for target, reason in (("b.png", "is a picture"), ("link.png", "is a picture"), ("hard.png", "the input itself")):
        with pytest.raises(OutputError, match=reason):
            decode(Path("a.uqdm"), Path(target))
    assert (folder / "b.png").read_bytes() == before
    decode(Path("a.uqdm"), Path("b.png"), force=True)
    np.testing.assert_array_equal(read_image("b.png"), read_image("a.png"))


@pytest.mark.parametrize("suffix", [".jpg", ".GIF", ".avif"])
def test_a_lossy_suffix_needs_the_option_lossy_and_prints_the_error(
    folder: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = Path(f"x{suffix}")
    with pytest.raises(OutputError, match="no longer be exact"):
        decode(Path("a.uqdm"), target)
    assert not target.exists()
    decode(Path("a.uqdm"), target, lossy=True)
    error = int(np.abs(read_image(target).astype(int) - read_image("a.png")).max())
    assert f"by up to {error} of 255" in capsys.readouterr().err


def test_webp_is_written_without_loss(folder: Path) -> None:
    decode(Path("a.uqdm"), Path("x.webp"))
    np.testing.assert_array_equal(read_image("x.webp"), read_image("a.png"))


def test_a_dash_is_standard_input_or_output(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams(monkeypatch, (folder / "a.png").read_bytes())
    encode(STANDARD, STANDARD)
    coded = streams.written
    assert coded == (folder / "a.uqdm").read_bytes()
    streams = Streams(monkeypatch, coded)
    decode(STANDARD, STANDARD)
    np.testing.assert_array_equal(read_image(streams.written), read_image("a.png"))
    streams = Streams(monkeypatch, coded)
    info(STANDARD)
    assert json.loads(streams.written)["width"] == 24


def test_only_regular_files_are_read(folder: Path) -> None:
    os.mkfifo("pipe")
    for read in (lambda path: encode(path, Path("x")), lambda path: decode(path, Path("x.png")), info):
        for name in ("pipe", "/dev/zero"):
            with pytest.raises(ValueError, match=f"^{name}: not a file .*standard input"):
                read(Path(name))
        with pytest.raises(ValueError, match=r"^gone: No such file"):
            read(Path("gone"))


def test_a_cut_or_foreign_file_is_reported(folder: Path) -> None:
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:90])
    with pytest.raises(ImageError, match=r"^cut\.png: damaged or cut short"):
        encode(Path("cut.png"), Path("x.uqdm"))
    whole = (folder / "a.uqdm").read_bytes()
    for size in (0, 1, 2, 5, 9, 12):
        (folder / "cut.uqdm").write_bytes(whole[:size])
        readers = [lambda path: decode(path, Path("x.png"))]
        for read in readers if size > 10 else [info, *readers]:  # the header is whole from 10 bytes on
            with pytest.raises(ValueError, match=r"^cut\.uqdm: "):
                read(Path("cut.uqdm"))
    with (folder / "sparse.uqdm").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match=r"^sparse\.uqdm: not a UQDM file"):
        info(Path("sparse.uqdm"))
    assert not list(folder.glob("x*"))


def test_terminal_escapes_in_names_are_replaced_in_every_message(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    name = "\x1b[31mred\x07\x9b\u202e"
    (folder / name).write_bytes(b"no image")
    for arguments, code in (
        (("encode", name, "x.uqdm"), 1),
        (("encode", "gone" + name, "x.uqdm"), 1),
        (("encode", "a.png", name), 1),
        (("decode", name, "x.png"), 1),
        (("decode", "a.uqdm", name), 1),
        (("decode", "a.uqdm", "x.png", "--model", name), 1),
        (("info", name), 1),
        (("info", name, name), 2),
        ((name,), 2),
        (("encode", "a.png", "x.uqdm", "--seed", name), 2),
        (("train", name, "--out", "x"), 1),
    ):
        status, error = run(monkeypatch, capfd, *arguments)
        assert status == code, error
        assert not set(error) & set(name[:1] + "\x07\x9b\u202e"), arguments
    encode(Path("a.png"), Path(f"{name}.uqdm"))
    assert "\\x1b[31mred" in capfd.readouterr().out
