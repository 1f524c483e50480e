"""Guards what a user sees after wrong input: one line with the remedy, exit status 1 or 2, and no traceback."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from uqdm.cli import main as cli
from uqdm.errors import USER_ERRORS, UserError, message_of

ROOT = Path(__file__).resolve().parents[2]
TRAINING = str(ROOT / "config" / "train" / "uqdm-pixel.yaml")
EVALUATE = ("bench", "evaluate", "--out=run", "--dataset=demo", "--limit=2")
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def uqdm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in a folder with a picture, a text and a damaged model; returns exit status and messages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UQDM_TRACEBACK", raising=False)
    monkeypatch.setenv("UQDM_DATA", str(tmp_path / "data"))
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("picture.png")
    Path("text.txt").write_text("not an image, not a model\n")
    Path("broken.yaml").write_text("name: [\n")
    Path("typo.yaml").write_text(Path(TRAINING).read_text().replace("smallest_box", "smalest_box"))
    Path("empty-model").mkdir()
    Path("damaged-model").mkdir()
    Path("damaged-model/config.json").write_text("{")

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["uqdm", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")

WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "encode: unknown device": (("encode", "picture.png", "o.uqdm", "--device=gpu"), "choose cpu, cuda or cuda:N"),
    "decode: unknown device": (("decode", "text.txt", "o.png", "--device=gpu"), "choose cpu, cuda or cuda:N"),
    "train: unknown device": (("train", TRAINING, "--out=m", "--device=gpu"), "choose cpu, cuda or cuda:N"),
    "encode: not an image": (("encode", "text.txt", "o.uqdm"), "text.txt"),
    "encode: unknown model": (("encode", "picture.png", "o.uqdm", "--model=uqdm-pixl"), "did you mean uqdm-pixel"),
    "encode: a folder without a model": (("encode", "picture.png", "o.uqdm", "--model=empty-model"), "empty-model"),
    "encode: a damaged model": (("encode", "picture.png", "o.uqdm", "--model=damaged-model"), "damaged-model"),
    "encode: unknown weights": (
        ("encode", "picture.png", "o.uqdm", "--model=uqdm-pixel", "--weights=best"),
        "choose one of ema, as-released",
    ),
    "decode: not a file of ours": (("decode", "text.txt", "o.png"), "text.txt"),
    "decode: unknown kind of picture": (("decode", "text.txt", "o.xyz"), ".png"),
    "info: not a file of ours": (("info", "text.txt"), "text.txt"),
    "train: not YAML": (("train", "broken.yaml", "--out=m"), "broken.yaml"),
    "train: a typo": (("train", "typo.yaml", "--out=m"), "smallest_box"),
    "train: no images": (("train", TRAINING, "--out=m", "--images=nowhere"), "nowhere"),
    "models: unknown": (("models", "get", "imagenet65"), "there are: uqdm-tiny"),
    "evaluate: unknown codec": ((*EVALUATE, "--codec=jpgg"), "did you mean jpeg"),
    "evaluate: no codec": (EVALUATE, "`uqdm codecs` lists them"),
    "evaluate: out of bounds": (
        (*EVALUATE, "--codec=jpeg:quality=500"),
        "codec jpeg: quality='500': must be at most 100",
    ),
    "evaluate: bounds": ((*EVALUATE, "--codec=jpeg:quality=500"), "quality is a whole number from 1 to 100"),
    "evaluate: quotes": ((*EVALUATE, "--codec=jpeg:quality='500'"), "quality is a whole number from 1 to 100"),
    "evaluate: not a choice": ((*EVALUATE, "--codec=avif:subsampling=1"), "codec avif: subsampling='1': choose one of"),
    "evaluate: unknown parameter": ((*EVALUATE, "--codec=jpeg:qualty=50"), "did you mean quality"),
    "evaluate: a device as parameter": ((*EVALUATE, "--codec=uqdm:device=cuda"), "no parameter 'device'"),
    "evaluate: unknown model": ((*EVALUATE, "--codec=uqdm:model=uqdm-pixl"), "did you mean uqdm-pixel"),
    "evaluate: unknown metric": ((*EVALUATE, "--codec=png", "--metric=psnr"), "did you mean psnr_db"),
    "evaluate: unknown data set": (("bench", "evaluate", "--out=run", "--dataset=kodka", "--codec=png"), "kodak"),
    "evaluate: absent data set": (
        ("bench", "evaluate", "--out=run", "--dataset=cifar10", "--codec=png"),
        "Fetch https",
    ),
    "evaluate: absent folder": (("bench", "evaluate", "--out=run", "--dataset=folder:x", "--codec=png"), "x"),
    "evaluate: not YAML": ((*EVALUATE, "--codecs-file=broken.yaml"), "not YAML or JSON"),
    "evaluate: a file in the way": (
        ("bench", "evaluate", "--out=text.txt/run", "--dataset=demo", "--codec=png"),
        "choose another folder",
    ),
    "score: no run": (("bench", "score", "--run=run"), "uqdm bench evaluate"),
    "score: no weights": (("bench", "score", "--run=run", "--inception=nowhere"), "nowhere"),
    "summarize: no run": (("bench", "summarize", "--run=run"), "uqdm bench"),
    "bd: no run": (("bench", "bd", "--run=run"), "uqdm bench"),
    "plot: no run": (("bench", "plot", "--run=run"), "uqdm bench"),
    "report: no run": (("bench", "report", "--run=run"), "uqdm bench"),
    "show: no run": (("bench", "show", "run"), "uqdm bench"),
    "status: no run": (("bench", "status", "empty-model"), "uqdm bench"),
    "compare: no runs": (("bench", "compare", "run", "run2"), "uqdm bench"),
    "paper: unknown figures": (("bench", "paper", "--run=run", "--published=cifar100"), "cifar10"),
    "swirl: unknown kind": (
        ("swirl", "train", "--kind=fxed", "--steps=5", "--iterations=1", "--seed=0", "--models=m"),
        "fixed",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_line_with_the_remedy(case: str, uqdm: Run) -> None:
    arguments, remedy = WRONG[case]
    status, said = uqdm(*arguments)
    assert status == 1, said
    assert said.startswith("error: ")
    assert remedy in said
    assert len(said.splitlines()) == 1, said
    assert not Path("run").exists()
    assert not Path("m").exists()


@NO_GPU
@pytest.mark.parametrize("name", ["cuda", "cuda:7"])
@pytest.mark.parametrize(
    "command", [("encode", "picture.png", "o"), ("decode", "picture.png", "o.png"), ("train", TRAINING, "--out=m")]
)
def test_a_gpu_that_is_absent_is_one_line_with_the_remedy(command: tuple[str, ...], name: str, uqdm: Run) -> None:
    status, said = uqdm(*command, f"--device={name}")
    assert (status, said) == (1, f"error: device='{name}': torch finds no GPU here; choose cpu\n")


def test_wrong_usage_exits_2_without_a_traceback(uqdm: Run) -> None:
    status, said = uqdm(*EVALUATE, "--codec=png", "--cpus=0")
    assert status == 2
    assert "--cpus" in said
    assert "Traceback" not in said


def test_a_cluster_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    """In a process of its own: this one may be connected to a Ray of other tests."""
    command = [sys.executable, "-m", "uqdm.cli.main", *EVALUATE, "--codec=png"]
    environment = {**os.environ, "RAY_ADDRESS": "127.0.0.1:1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    status, said = done.returncode, done.stderr
    assert status == 1
    assert said.splitlines()[-1].startswith("error: RAY_ADDRESS=127.0.0.1:1: no Ray cluster answers")
    assert "Traceback" not in said


# ---- the classes of errors ----------------------------------------------------------------------------------

INTERNAL = {"uqdm_baselines/bpg/file.py"}
"""Files whose RuntimeErrors are faults of the program: what they check cannot be mended by a user."""


def test_runtime_errors_of_our_own_are_of_a_class_that_the_command_line_prints_as_a_line() -> None:
    plain = [
        str(file.relative_to(ROOT))
        for folder in ("uqdm", "uqdm_baselines")
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if _raises_runtime_error(node) or _derives_from_runtime_error(node)
    ]
    assert sorted(set(plain)) == sorted(INTERNAL | {"uqdm/errors.py"})


def _raises_runtime_error(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and _is_runtime_error(node.exc.func)


def _derives_from_runtime_error(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and any(map(_is_runtime_error, node.bases))


def _is_runtime_error(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "RuntimeError"


def test_the_classes_of_missing_codecs_and_lost_parts_are_user_errors() -> None:
    from uqdm.bench.checked_calls import MeasurementError
    from uqdm.bench.execute.ray_watch import RayLostError
    from uqdm.bench.features.weight_files import WeightsError
    from uqdm.codec import CodecClashError, CodecUnavailableError, NoFileError
    from uqdm.plugins import PluginError
    from uqdm_baselines._process import ProgramError

    classes = [CodecClashError, CodecUnavailableError, NoFileError, PluginError]
    classes += [ProgramError, MeasurementError, RayLostError, WeightsError]
    assert all(issubclass(one, UserError) for one in classes)
    assert not isinstance(RuntimeError("a fault"), USER_ERRORS)


def test_an_error_of_several_lines_is_printed_on_one() -> None:
    assert message_of(OSError("cannot\n  read \x1b[2J")) == r"cannot read \x1b[2J"
    assert os.linesep not in message_of(ValueError("a\nb"))
