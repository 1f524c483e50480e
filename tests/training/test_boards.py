"""Guards loggers of training beside the CSV files: Weights & Biases by the real package, without a network."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small_training import MODEL, RECIPE

from uqdm.training.boards import _kept_id, check_logger
from uqdm.training.config import Output
from uqdm.training.job import prepare
from uqdm.training.structure import TrainingConfigError

READ = """
import json, sys
from wandb.proto.wandb_internal_pb2 import Record
data, at, held, rows, about = open(sys.argv[1], "rb").read(), 7, b"", [], []
while at + 7 <= len(data):  # the log format of LevelDB, after a header
    left = 32768 - at % 32768
    if left < 7:
        at += left
        continue
    length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
    held += data[at + 7 : at + 7 + length]
    at += 7 + length
    if kind in (1, 4):  # a whole record, or its last part
        record, held = Record.FromString(held), b""
        if record.WhichOneof("record_type") == "history":
            rows.append({"/".join(one.nested_key) or one.key: one.value_json for one in record.history.item})
        if record.WhichOneof("record_type") == "run":
            about = [record.run.run_id, record.run.project, record.run.display_name, str(record.run)]
print(json.dumps([about, rows]))
"""


def configuration(folder: Path, logger: str) -> Path:
    """A small run on photographs of the data set ``demo``."""
    file = folder / f"{logger}.yaml"
    output = {"report_every": 4, "checkpoint_every": 4, "pictures_every": 100, "logger": logger}
    content = {
        "name": "small",
        "image_size": 32,
        "model": MODEL,
        "recipe": {**RECIPE, "n_iterations": 8},
        "data": {"source": "demo", "boxes_per_image": 1, "smallest_box": 32},
        "output": output,
    }
    file.write_text(yaml.safe_dump(content))
    return file


def train(folder: Path, file: Path, *options: str, mode: str = "offline") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    chosen = {"WANDB_MODE": mode, "HOME": str(folder), "WANDB_BASE_URL": "http://127.0.0.1:9"}
    command = [
        sys.executable,
        "-m",
        "uqdm",
        "train",
        str(file),
        "--out",
        str(folder / "out"),
        "--workers",
        "1",
        *options,
    ]
    return subprocess.run(command, check=False, env={**environment, **chosen}, capture_output=True, text=True)


@pytest.mark.slow
def test_weights_and_biases_has_the_curves_of_a_run(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    file = configuration(tmp_path, "wandb")
    assert train(tmp_path, file, "--iterations", "4").returncode == 0
    kept = (tmp_path / "out" / "wandb-id").read_text()
    (stored,) = (tmp_path / "out" / "wandb").glob("offline-run-*/*.wandb")
    about, rows = json.loads(subprocess.check_output([sys.executable, "-c", READ, str(stored)], text=True))
    assert about[:3] == [kept, "uqdm", "small"]
    assert str(tmp_path) not in about[3]
    (row,) = [row for row in rows if "train/total_bpp" in row]
    assert row["iteration"] == "4"
    logged = (tmp_path / "out" / "log.csv").read_text().splitlines()
    values = dict(zip(logged[0].split(","), logged[1].split(","), strict=True))
    assert float(row["train/total_bpp"]) == pytest.approx(float(values["total_bpp"]), rel=1e-5)
    assert not (tmp_path / "out" / "tensorboard").exists()


@pytest.mark.slow
def test_without_a_login_the_error_names_the_remedy(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    done = train(tmp_path, configuration(tmp_path, "wandb"), mode="online")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: logger=wandb: ")
    assert last.endswith("set WANDB_API_KEY, or set WANDB_MODE=offline")


def test_a_resumed_run_and_each_step_keep_their_id(tmp_path: Path) -> None:
    first = _kept_id(tmp_path, "")
    assert _kept_id(tmp_path, "") == first != _kept_id(tmp_path, "step-1")


def test_a_logger_that_is_not_installed_is_refused_before_work_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="logger=wandb: wandb is not installed; `pip install wandb`"):
        prepare(configuration(tmp_path, "wandb"), None, tmp_path / "out")
    check_logger("none")
    assert not (tmp_path / "out").exists()


def test_an_unknown_logger_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    assert Output().logger == "tensorboard"
    with pytest.raises(TrainingConfigError, match=r"output.*logger.*tensorboard, wandb, none"):
        prepare(configuration(tmp_path, "mlflow"), None, tmp_path / "out")
