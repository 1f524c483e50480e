"""Models that are no codecs are refused with the reason."""

import pytest

from uqdm.model import checkpoint
from uqdm.progressive import UQDM

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
