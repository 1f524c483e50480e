"""Commands that need no network do not import torch, which takes seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import small_run

from uqdm.bench.analysis.summarize import summarize_run
from uqdm.bench.datasets import open_dataset
from uqdm.cli import bench, main
from uqdm.codec import codec_names

GOLDEN = Path(__file__).parents[1] / "progressive" / "golden-pixel.uqdm"
HEAVY = {"torch", "ray", "numba"}


def heavy_imports(code: str, *arguments: str) -> str:
    """The heavy modules that Python code with these arguments imports, sorted."""
    shown = f"import sys\n{code}\nprint('HEAVY', *sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", shown, *arguments], capture_output=True, text=True, check=True)
    return done.stderr.splitlines()[-1].removeprefix("HEAVY").strip()


def of_command(*arguments: str) -> str:
    """The heavy modules that a command which succeeds imports."""
    code = "from uqdm.cli.main import main\ntry: main()\nexcept SystemExit as ended: assert not ended.code, ended.code"
    return heavy_imports(code, *arguments)


HELP = [[name] for name in main.SUBCOMMANDS] + [["bench", name] for name in bench.SUBCOMMANDS]


@pytest.mark.slow
@pytest.mark.parametrize("names", HELP, ids=" ".join)
def test_help_of_each_command(names: list[str]) -> None:
    assert of_command(*names, "--help") == ""


@pytest.mark.parametrize("arguments", [["models"], ["models", "--json"], ["info", str(GOLDEN)]], ids=str)
def test_commands_about_models_and_files(arguments: list[str]) -> None:
    assert of_command(*arguments) == ""


def test_the_list_of_codecs() -> None:
    assert of_command("codecs", "--json") == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", codec_names())
def test_class_of_each_codec(name: str) -> None:
    """Its parameters and default settings are checked before any work, and in processes that do no work."""
    assert heavy_imports(f"from uqdm.codec import codec_class\ncodec_class({name!r})") == ""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    codecs = [f"{codec}:quality={quality}" for codec in ("jpeg", "webp") for quality in (10, 50, 90)]
    folder = small_run.measure_run(tmp_path_factory.mktemp("fast") / "run", open_dataset("demo", 3), *codecs)
    summarize_run(folder)
    of_command("bench", "plot", "--run", str(folder))  # the report shows the plots
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["status", "show", "summarize", "bd", "compare", "plot", "report", "extract"])
def test_commands_about_a_finished_run(name: str, run: Path) -> None:
    there = str(run)
    arguments = {
        "show": [there],
        "status": [there],
        "compare": [there, there],
        "extract": [there, "--image", "0", "--out", str(run / "extracted")],
    }
    assert of_command("bench", name, *arguments.get(name, ["--run", there])) == ""


@pytest.mark.slow
def test_encode_and_decode_import_no_compiler_of_torch(tmp_path: Path) -> None:
    """Some settings of torch import its compiler, which takes as long as torch itself."""
    code = (
        "import numpy as np, uqdm\n"
        "model = uqdm.load_model('uqdm-pixel')\n"
        "model.decompress(model.compress(np.zeros((8, 8, 3), np.uint8)))\n"
        "print([name for name in ('torch._dynamo', 'torch._inductor', 'sympy', 'triton') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", "import sys\n" + code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
