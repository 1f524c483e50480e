"""Fine-tuning of the published tiny model continues from its trained state (the benchmark has 200 iterations)."""

import importlib
from pathlib import Path

import pytest

from uqdm.model.checkpoint import load
from uqdm.training.config import Validation
from uqdm.training.validation import validate, validation_images

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.shared
def test_finetuning_the_published_tiny_model_keeps_its_rate(shared, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    finetune = importlib.import_module("finetune").finetune
    folder, npz = shared / "checkpoints" / "uqdm-tiny", f"npz:{shared}/data/imagenet64-sample.npz"
    wanted = Validation(source=f"{npz}#eval", n=1, coded=0, every=100)
    config = ROOT / "config" / "train" / "finetune.yaml"
    (_, before), (_, after) = finetune(str(folder), f"{npz}#train", wanted, str(config), 4, tmp_path)
    assert after.ideal_bpp == pytest.approx(before.ideal_bpp, rel=0.005)
    assert load(tmp_path / "model").schedule.slope == pytest.approx(17.966, abs=0.01)
    # Raw weights and the initial slope, which the published loader goes on from, cost some 0.9 bpp.
    reloaded = load(folder, "as-released")
    assert validate(reloaded, validation_images(wanted.source, 1, 64), 0).ideal_bpp > before.ideal_bpp + 0.4
