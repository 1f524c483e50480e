"""Guards what commands print on terminals: lines fit, words and figures are whole, and wide terminals are used."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from small_run import measure_run

from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.cli.folding import folded_table, wrapped
from uqdm.codec import codec_names

UQDM = Path(sys.executable).with_name("uqdm")


def on_terminal(columns: int, *arguments: str | Path) -> list[str]:
    """The lines that a command prints on a terminal of that width, without colours."""
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment["TERM"] = "xterm"
    process = subprocess.Popen([UQDM, *arguments], stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    printed = b""
    while part := _read(screen):
        printed += part
    assert process.wait() == 0, printed
    return re.sub(r"\x1b\[[0-9;]*m", "", printed.decode().replace("\r\n", "\n")).splitlines()


def _read(screen: int) -> bytes:
    try:
        return os.read(screen, 65536)
    except OSError:  # Linux reports the end so
        return b""


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    codecs = [f"{name}:quality={quality}" for name in ("jpeg", "webp") for quality in (10, 30, 60, 90)]
    run = measure_run(tmp_path_factory.mktemp("cli") / "run", open_dataset("demo", limit=3), *codecs)
    summarize_run(run)
    return run


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.slow
def test_tables_of_a_run_fit_the_terminal(columns: int, run_dir: Path) -> None:
    for arguments in (
        ("bd", "--run", run_dir, "--metric", "psnr_db"),
        ("compare", run_dir, run_dir, "--codec-a=jpeg", "--codec-b=webp", "--metric=psnr_db"),
        ("show", run_dir, "--codec", "webp"),
    ):
        lines = on_terminal(columns, "bench", *arguments)
        longest_path = max((len(line) for line in lines if str(run_dir) in line), default=0)
        assert [line for line in lines if len(line) > max(columns, longest_path)] == []
        assert not any("…" in line for line in lines)


@pytest.mark.slow
def test_figures_of_a_folded_table_are_those_of_a_wide_one(run_dir: Path) -> None:
    arguments = ("bench", "compare", run_dir, run_dir, "--codec-a=jpeg", "--codec-b=webp", "--metric=psnr_db")
    narrow, wide = (" ".join(on_terminal(columns, *arguments)) for columns in (70, 250))
    for word in (re.sub("[─-]{3,}", "", wide)).split():
        assert word in narrow


@pytest.mark.slow
def test_lists_of_codecs_and_checks_fit_the_terminal() -> None:
    for arguments in (["codecs"], ["models"], ["doctor", "png", "jpeg", "program"]):
        lines = on_terminal(80, *arguments)
        assert [line for line in lines if len(line) > 80] == []
        assert not any("…" in line for line in lines)
    assert max(map(len, on_terminal(160, "models"))) > 120


@pytest.mark.slow
def test_a_list_of_models_has_no_markup() -> None:
    text = "\n".join(on_terminal(80, "models"))
    assert not re.search(r"`|\*\*|\]\(", text)
    assert "uqdm-pixel  here" in text


@pytest.mark.slow
def test_output_that_is_no_terminal_has_one_line_for_each_text() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    text = subprocess.check_output([UQDM, "codecs"], text=True, env=environment)
    assert [line.split()[0] for line in text.splitlines() if not line.startswith(" ")] == codec_names()
    assert not any(line.startswith("     ") for line in text.splitlines())


# ---- the parts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [20, 33, 80])
def test_lines_end_between_words_and_nothing_is_lost(width: int) -> None:
    text = "a codec's setting quality=50,lossless=false,method=6 and, some more words: " + "x" * 50
    lines = wrapped(text, width)
    assert max(map(len, lines)) <= width
    assert "".join("".join(lines).split()) == "".join(text.split())
    whole = {*text.split()} | set(re.findall("[^, ]+,", text)) | {"method=6"}
    words = [word for line in lines for word in line.split() if "x" * 9 not in word]
    assert [word for word in words if word not in whole and not any(word in one for one in whole)] == []


def test_a_setting_is_divided_after_a_comma() -> None:
    assert wrapped("quality=50,lossless=false", 20, further="") == ["quality=50,", "lossless=false"]


def test_columns_of_a_folded_table_are_aligned() -> None:
    headings = ["codec", "bpp", "psnr_db", "images", "reason"]
    rows = [
        ["jpeg", "1.5", "30.25", "3", ""],
        ["webp (method=6)", "12.25", "9.1", "24", "too few points in this curve"],
    ]
    lines = folded_table(headings, rows, 26, texts=["codec", "reason"], free=["reason"])
    assert lines == [
        "codec              bpp",
        "    psnr_db  images",
        "-" * 26,
        "jpeg               1.5",
        "      30.25       3",
        "webp (method=6)  12.25",
        "        9.1      24",
        "    too few points in this",
        "    curve",
    ]


def test_a_cell_longer_than_the_terminal_is_wrapped() -> None:
    lines = folded_table(["name", "n"], [["a long name of a setting", "3"]], 16, texts=["name"])
    assert max(map(len, lines)) <= 16
    assert "".join("".join(lines[3:]).split()) == "alongnameofasetting3"
