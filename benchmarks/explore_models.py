"""Effect of a change of network or recipe on one step's rate: trains it for some CPU seconds and evaluates it.

    python benchmarks/explore_models.py --images FOLDER --eval npz:imagenet64-sample.npz#eval --step 3 --seconds 75 \
        [--network '{"width": 32, "dilations": [1, 1, 2, 1], "hidden": 32}'] [--recipe '{"learning_rate": 0.004}'] \
        [--x-hat-weight 0.5] [--unbounded] [--batch 8] [--n 100]

Prints a row of the table in docs/models.md. Steps are counted from 0 here, by what the network sees: step 3 goes from
z_.25 to z_0. The rate is ideal, z_T drawn anew for each image. Seconds are of CPU time, on one thread, so that a loaded
machine does not change what is compared more than its caches do.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch
from tile_images import load_tiles

from uqdm.model import checkpoint
from uqdm.training.data import Tiles, random_tiles
from uqdm.training.objective import make_objective
from uqdm.training.recipe import SeparateRecipe, StepPlan
from uqdm.training.trainer import Training
from uqdm.training.validation import evaluate

N_STEPS = 4
NETWORK = {"width": 32, "dilations": [1, 1, 2, 1], "hidden": 32}


def model_of(network: dict[str, object], bounded: bool) -> dict[str, object]:
    return {
        "schedule": {"slope": 18.21, "gamma_max": 6.0, "n_steps": N_STEPS},
        "denoiser": {"kind": "sectioned", "networks": [network] * (N_STEPS - 1), "bounded": bounded},
    }


def macs_per_pixel(network: dict[str, object]) -> float:
    """Multiply-accumulates of a call with all its sections, from the shapes of the weights."""
    denoiser, _ = checkpoint.build(model_of(network, True))
    trained = denoiser.networks[0]
    total = 0.0
    for name, weight in trained.named_parameters():
        if weight.dim() == 4:
            half = ".inner." in name or name.startswith("heads.")
            total += weight.numel() / (4 if half else 1) * (0.5 if name == "heads.decoded" else 1)
    return total


def train(model: dict[str, object], index: int, recipe: SeparateRecipe, tiles: np.ndarray, seconds: float) -> Training:
    """Trains for CPU seconds; the learning rate falls linearly over the last 40 %."""
    torch.manual_seed(recipe.seed)
    denoiser, schedule = checkpoint.build(model)
    objective = make_objective(denoiser.to(memory_format=torch.channels_last), schedule, recipe)
    run = Training(objective, StepPlan(recipe, index), Tiles(tiles), tiles.shape[1], only_step=index)
    start = time.process_time()
    while (share := (time.process_time() - start) / seconds) < 1:
        run.rate_factor = min(1.0, (1 - share) / 0.4)
        run.advance()
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, help="folder of photographs to train on")
    parser.add_argument("--eval", required=True, help="data set of 64x64 images to evaluate on")
    parser.add_argument("--step", type=int, default=3, choices=range(1, N_STEPS))
    parser.add_argument("--seconds", type=float, default=75.0)
    parser.add_argument("--network", type=json.loads, default=NETWORK)
    parser.add_argument("--recipe", type=json.loads, default={})
    parser.add_argument("--x-hat-weight", type=float, default=0.5)
    parser.add_argument("--unbounded", action="store_true")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--n", type=int, default=100)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tiles = random_tiles(arguments.images, 64, boxes_per_image=20, seed=0)
    far = 10**9  # the clock ends the run
    recipe = SeparateRecipe(
        iterations=[far] * N_STEPS,
        cool_down=[1] * N_STEPS,
        batch_sizes=[[[0, arguments.batch]]] * N_STEPS,
        crop_sizes=[32] * N_STEPS,
        x_hat_weights=[[[0, arguments.x_hat_weight]]] * N_STEPS,
        **arguments.recipe,
    )
    model = model_of(arguments.network, not arguments.unbounded)
    run = train(model, arguments.step, recipe, tiles, arguments.seconds)
    averages = run.averages.module
    rows = evaluate(averages.denoiser, averages.schedule.fixed(), load_tiles(arguments.eval, arguments.n, 64))
    rate, psnr = (rows[arguments.step][key] for key in ("rate_bpp", "x_hat_psnr_db"))
    weights = sum(averages.get_parameter(name).numel() for name in run.averages.updates)
    macs = macs_per_pixel(arguments.network) / 1000
    what = f"{json.dumps(arguments.network)} {json.dumps(arguments.recipe)}"
    print(
        f"| {arguments.step} | {what} | {macs:.0f}k | {weights:,} "
        f"| {arguments.seconds / 60:.2f} | {run.iteration:,} | {rate:.3f} | {psnr:.2f} |"
    )


if __name__ == "__main__":
    main()
