"""Configurations: shipped ones are valid and have the paper's sizes; errors name the wrong key."""

from pathlib import Path

import pytest
import yaml
from small_training import MODEL, RECIPE

from uqdm.model.checkpoint import build
from uqdm.training.config_file import read_config
from uqdm.training.recipe import JointRecipe, SeparateRecipe
from uqdm.training.structure import TrainingConfigError

FOLDER = Path(__file__).parents[2] / "config" / "train"
SEPARATE = {
    "iterations": [5, 5, 5, 5],
    "batch_sizes": [[[0, 2]]] * 4,
    "x_hat_weights": [[[0, 0.5]]] * 4,
    "crop_sizes": [16] * 4,
    "cool_down": [1] * 4,
}
BOUND = {"n_iterations": 5, "objective": "nelbo", "batch_size": 2}


def config(**changes):
    kept = {"name": "small", "image_size": 32, "data": {"boxes_per_image": 4}, "model": MODEL, "recipe": RECIPE}
    return {key: value for key, value in {**kept, **changes}.items() if value is not None}


@pytest.fixture
def write(tmp_path):
    def write(content):
        file = tmp_path / "small.yaml"
        file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return file

    return write


MODEL_NAMES = {
    "cdc-ntc": "cdc-ntc",
    "cifar10": "uqdm-cifar10",
    "finetune": "finetuned",
    "hfd-bpg": "hfd-bpg",
    "hfd-ntc": "hfd-ntc",
    "imagenet64-big": "uqdm-big",
    "imagenet64-medium": "uqdm-medium",
    "imagenet64-small": "uqdm-small",
    "imagenet64-tiny": "uqdm-tiny",
    "ntc-demo": "ntc-demo",
    "swirl": "swirl",
    "swirl-vdm": "swirl-vdm",
    "uqdm-cifar": "uqdm-cifar",
    "uqdm-demo": "uqdm-demo",
    "uqdm-demo-late": "uqdm-demo",
    "uqdm-pixel": "uqdm-pixel",
    "vdm-demo": "vdm-demo",
}


def test_every_shipped_configuration_is_tested():
    assert {file.stem for file in FOLDER.glob("*.yaml")} == set(MODEL_NAMES)


@pytest.mark.parametrize(("stem", "name"), MODEL_NAMES.items(), ids=list(MODEL_NAMES))
def test_shipped_configurations_are_valid(stem, name):
    assert read_config(FOLDER / f"{stem}.yaml").name == name


# Sizes of the authors' networks, with the schedule's slope as one parameter more; the paper's App. C.3 rounds them.
@pytest.mark.parametrize(
    ("name", "count"), [("tiny", 167_495), ("small", 2_238_151), ("medium", 122_143_495), ("big", 237_609_735)]
)
def test_the_papers_models_have_their_published_sizes(name, count):
    denoiser, _ = build(read_config(FOLDER / f"imagenet64-{name}.yaml").model, device="meta")
    assert sum(parameter.numel() for parameter in denoiser.parameters()) + 1 == count


def test_recipe_kind_follows_its_keys(write):
    assert isinstance(read_config(write(config())).recipe, JointRecipe)
    assert isinstance(read_config(write(config(recipe=SEPARATE))).recipe, SeparateRecipe)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"recipe": {**RECIPE, "speed": 1}},
            r"small.yaml: recipe: unknown key 'speed' \(did you mean seed\?\); known:",
        ),
        ({"recipe": {**RECIPE, "step_shares": [1.0]}}, r"small.yaml: recipe.step_shares needs 4 entries"),
        ({"recipe": {**RECIPE, "step_shares": [1.0, 1.0, 0, 0]}}, r"small.yaml: recipe.step_shares=2.0: must sum to 1"),
        ({"recipe": {**RECIPE, "batch_sizes": 4}}, r"small.yaml: recipe.batch_sizes: expected a list, got int 4"),
        (
            {"recipe": {**RECIPE, "batch_sizes": [4, 4, 4, "4"]}},
            r"sizes\[3\]: expected a whole number, got str '4'",
        ),
        ({"recipe": {**RECIPE, "crop_sizes": [16, 16, 16, 64]}}, "crops of 64 pixels do not fit images of 32"),
        (
            {"recipe": {**RECIPE, "learning_rate": "2e-4"}},
            r"got str '2e-4'; YAML reads 2e-4 as text",
        ),
        ({"recipe": {**RECIPE, "learning_rate": -1.0}}, r"recipe.learning_rate=-1.0: must be positive"),
        (
            {"recipe": {**RECIPE, "objective": "elbo"}},
            r"recipe.objective=elbo: choose one of steps, nelbo",
        ),
        ({"recipe": {**RECIPE, "bfloat16": 1}}, r"recipe.bfloat16: expected true or false, got int 1"),
        ({"recipe": {**BOUND, "batch_size": None}}, r"recipe.batch_size=None"),
        ({"recipe": {**BOUND, "learned_schedule": ["gamma_min"]}}, "choose from slope, gamma_max"),
        ({"recipe": {**BOUND, "last_stage": False, "learned_schedule": ["slope"]}}, "learned from the whole bound"),
        ({"recipe": {**SEPARATE, "cool_down": [1]}}, "recipe.cool_down needs 4 entries"),
        ({"recipe": {**SEPARATE, "batch_sizes": [[[1, 2]]] * 4}}, "must begin at iteration 0"),
        ({"recipe": {**SEPARATE, "step_shares": [1.0]}}, "recipe: unknown key 'step_shares'"),
        ({"extra": 1}, r"small.yaml: unknown key 'extra'"),
        ({"model": None}, "give either model .* or init"),
        ({"image_size": None}, "image_size must be given"),
        ({"recipe": None}, "small.yaml: recipe must be given"),
        ({"model": {**MODEL, "process": "poisson"}}, "model: process 'poisson' is unknown; known: uniform, gaussian"),
        ({"model": {**MODEL, "denoiser": {"kind": "x"}}}, "model: denoiser kind 'x' is unknown; known: "),
        ({"model": {**MODEL, "schedule": {"slope": -1.0, "gamma_max": 6.0, "n_steps": 4}}}, "must be positive"),
        ({"validation": {"n": 2, "coded": 3}}, "validation.coded=3: must be in 0..2"),
        (
            {"model": {**MODEL, "density": "gaussian"}, "validation": {}},
            "Gaussian models code no files",
        ),
        ({"output": {"weights": "int8"}}, "output.weights=int8: choose float16 or float32"),
    ],
)
def test_wrong_configuration_error_names_the_key(write, change, message):
    with pytest.raises(TrainingConfigError, match=message):
        read_config(write(config(**change)))


@pytest.mark.parametrize("text", ["[1, 2]", "", "a: [", "just text"])
def test_file_that_is_not_a_configuration_is_refused(write, text):
    with pytest.raises(TrainingConfigError, match=r"small.yaml: "):
        read_config(write(text))
