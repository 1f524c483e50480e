"""A model and recipes so small that training takes seconds."""

from pathlib import Path

from uqdm.training.job import TrainingCallbacks, prepare
from uqdm.training.run import train

MODEL = {
    "schedule": {"slope": 18.21, "gamma_max": 6.0, "n_steps": 4},
    "denoiser": {"kind": "stepwise", "widths": [8, 8, 8], "dilations": [[1], [1], [1]]},
}
RECIPE = {
    "n_iterations": 120,
    "step_shares": [0.1, 0.3, 0.3, 0.3],
    "batch_sizes": [4, 4, 4, 4],
    "crop_sizes": [16, 16, 16, 16],
    "warm_up": 10,
    "ema_decay": 0.9,
    "bfloat16": False,
}


def train_by_file(config_file: Path, out: Path, **callbacks) -> None:
    """Trains by a configuration file, in this process."""
    train(prepare(config_file, None, out), TrainingCallbacks(**callbacks))
