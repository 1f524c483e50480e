"""UQDM as a codec of the benchmark, with the model uqdm-pixel."""

import numpy as np
import pytest

from uqdm.codec import ParameterError, get_codec

MODEL = "uqdm-pixel"


def test_points_and_reconstructions_are_those_of_the_stream(photographs_uint8):
    codec = get_codec("uqdm", model=MODEL)
    (encoded,) = codec.encode_detailed(photographs_uint8[:1])
    points = codec.points(encoded.stream)
    assert [point.name for point in points] == ["step 0", "step 1", "step 2", "step 3", "step 4", "lossless"]
    assert points[-1].n_bytes == len(encoded.stream)
    assert set(encoded.ideal_bits) == {point.name for point in points}
    found = list(codec.reconstructions(encoded.stream))
    named = [(point.name, name) for point in points for name in point.reconstructions]
    assert [(item.point.name, item.name) for item in found] == named
    assert (found[-1].image_uint8 == photographs_uint8[0]).all()
    denoised = [item for item in found if item.name == "denoise" and 0 < item.point.n_bytes < len(encoded.stream)]
    for item in denoised[1:]:
        (from_prefix,) = codec.decode([encoded.stream[: item.point.n_bytes]])
        assert (from_prefix == item.image_uint8).all()


def test_files_do_not_depend_on_the_reconstruction(photographs_uint8):
    codecs = [get_codec("uqdm", model=MODEL, reconstruct=name) for name in ("all", "denoise", "flow")]
    assert len({codec.encode(photographs_uint8[:1])[0] for codec in codecs}) == 1


def test_version_has_model_name_and_digest():
    assert get_codec("uqdm", model=MODEL).version.startswith("uqdm-pixel sha256:")


def test_unknown_model_error_lists_shipped_models():
    with pytest.raises(ValueError, match="did you mean uqdm-pixel"):
        get_codec("uqdm", model="uqdm-pixe")
    with pytest.raises(ParameterError, match="weights"):
        get_codec("uqdm", weights="best")


def test_batch_and_single_images_give_equal_files(photographs_uint8):
    codec = get_codec("uqdm", model=MODEL)
    together = codec.encode(photographs_uint8[:3])
    assert together == [codec.encode([image])[0] for image in photographs_uint8[:3]]
    assert all(np.array_equal(a, b) for a, b in zip(codec.decode(together), photographs_uint8, strict=False))
