"""Models that cannot code files are refused with the reason."""

import numpy as np
import pytest
import yaml

from uqdm.codec import ParameterError, get_codec
from uqdm.coding.container import MAX_EPS, N_STAGES, TILE_SIZE
from uqdm.model import checkpoint
from uqdm.progressive import UQDM
from uqdm.training.config_file import read_config
from uqdm.training.structure import TrainingConfigError

IMAGES = {"kind": "stepwise", "widths": [4, 4, 4], "dilations": [[1], [1], [1]]}
SCHEDULE = {"slope": 18.21, "gamma_max": 6.0, "n_steps": 4}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"process": "gaussian"}, "its process is gaussian, not uniform"),
        ({"density": "gaussian"}, "its density is gaussian, not logistic"),
        ({"image_size": 1, "denoiser": {"kind": "points", "width": 4}}, "it is of points, not of images"),
    ],
)
def test_models_that_cannot_code_are_refused(tmp_path, changes, reason):
    config = {"image_size": 8, "schedule": SCHEDULE, "denoiser": IMAGES, **changes}
    checkpoint.save(tmp_path / "model", config, checkpoint.build(config)[0])
    with pytest.raises(ValueError, match=f"model model cannot code files: {reason}"):
        UQDM(checkpoint.load(tmp_path / "model"))


def unet(**changes):
    network = {"kind": "unet", "embedding_dim": 4, "n_blocks": 0, "norm_groups": 2, **changes.pop("network", {})}
    return {"image_size": 8, "schedule": {**SCHEDULE, **changes.pop("schedule", {})}, "denoiser": network, **changes}


NOT_HELD = [
    *(
        (unet(image_size=size), rf"tiles of 1, 2, 4, .*32768 pixels a side, not of image_size {size}")
        for size in (3, 12, 24, 48, 96)
    ),
    (unet(schedule={"n_steps": 17}), "holds 1 to 16 stages, not n_steps 17"),
    (unet(schedule={"n_steps": 16, "slope": 14.0}), "not n_steps 16 and a last stage of pixels"),
    (unet(schedule={"n_steps": 1, "slope": 50.0, "gamma_max": 5.0}), "noise of step 1 is too narrow"),
    (unet(network={"n_channels": 1}), "its images have 1 channels, not 3"),
    (unet(tolerance=[{"x_hat": 1e-9, "log2_scale": 2 * MAX_EPS}] * 4), "the tolerance of step 1 is more than 0.0625"),
]


@pytest.mark.parametrize(("config", "reason"), NOT_HELD)
def test_models_beyond_the_limits_of_the_format_are_refused(tmp_path, config, reason):
    checkpoint.save(tmp_path / "model", config, checkpoint.build(config)[0])
    with pytest.raises(ValueError, match=f"model model cannot code files: .*{reason}"):
        UQDM(checkpoint.load(tmp_path / "model"))
    with pytest.raises(ValueError, match=reason):
        get_codec("uqdm", model=str(tmp_path / "model"))


@pytest.mark.parametrize(("config", "reason"), NOT_HELD[:-1])
def test_uncodable_models_are_refused_before_training(tmp_path, config, reason):
    model = {key: config[key] for key in ("schedule", "denoiser")}
    recipe = {"n_iterations": 1, "objective": "nelbo", "batch_size": 2}
    content = {"name": "no", "image_size": config["image_size"], "model": model, "recipe": recipe}
    (tmp_path / "no.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(TrainingConfigError, match=f"no.yaml: the trained model could not code files: .*{reason}"):
        read_config(tmp_path / "no.yaml")


def test_every_allowed_tile_size_round_trips(tmp_path):
    sizes = [2**exponent for exponent in range(1, 5)]
    assert [TILE_SIZE.fault(size) for size in (1, *sizes)] == [None] * 5
    for size in sizes:
        config = {"image_size": size, "schedule": SCHEDULE, "denoiser": IMAGES}
        checkpoint.save(tmp_path / str(size), config, checkpoint.build(config)[0])
        model = UQDM(checkpoint.load(tmp_path / str(size)))
        image = np.random.default_rng(size).integers(0, 256, (9, 10, 3), dtype=np.uint8)
        assert (model.decompress(model.compress([image]))[0] == image).all()
    assert N_STAGES.most == 16


def test_diffc_refuses_tiles_and_seeds_that_its_header_cannot_hold(tmp_path):
    config = unet(image_size=256)
    checkpoint.save(tmp_path / "large", config, checkpoint.build(config)[0])
    with pytest.raises(ParameterError, match="tiles of 0 to 255 pixels a side, not of image_size 256"):
        get_codec("diffc", model=str(tmp_path / "large"))
