"""The codec `refine`: streams of another codec, pictures of the second stage, and errors that name the remedy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_refine import LATENTS, PICTURE, refine_folder

from uqdm.codec import Codec, ParameterError, StreamError, get_codec
from uqdm.refine import model as models
from uqdm.refine.codec import DECODED, MEAN, SAMPLE
from uqdm.refine.conditions import log2_bpp

STEPS = 3


@pytest.fixture(scope="module")
def images(photographs_uint8: list[np.ndarray]) -> list[np.ndarray]:
    return [photographs_uint8[0][:32, :32], np.ascontiguousarray(photographs_uint8[1][:21, :30])]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return refine_folder(tmp_path_factory.mktemp("refine") / "small", PICTURE)


@pytest.fixture(scope="module")
def of_latents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return refine_folder(tmp_path_factory.mktemp("refine") / "latents", LATENTS)


@pytest.fixture(scope="module")
def codec(folder: Path) -> Codec:
    return get_codec("refine", codec="jpeg;quality=20", model=str(folder), steps=STEPS)


def pictures(codec: Codec, stream: bytes) -> dict[str, np.ndarray]:
    return {found.name: found.image_uint8 for found in codec.reconstructions(stream)}


def test_streams_are_those_of_the_inner_codec(codec: Codec, images: list[np.ndarray]) -> None:
    inner = get_codec("jpeg", quality=20)
    streams = codec.encode(images)
    assert streams == inner.encode(images)
    assert [point.n_bytes for point in codec.points(streams[0])] == [len(streams[0])]
    assert codec.parts(streams[0]) == inner.parts(streams[0])
    found = pictures(codec, streams[1])
    assert list(found) == [DECODED, MEAN, SAMPLE]
    assert np.array_equal(found[DECODED], inner.decode(streams[1:])[0])
    assert {image.shape for image in found.values()} == {(21, 30, 3)}
    assert np.array_equal(codec.decode(streams)[1], found[SAMPLE])


def test_samples_depend_on_the_seed_and_the_stream_alone(codec: Codec, folder: Path, images: list[np.ndarray]) -> None:
    (stream,) = codec.encode(images[:1])
    again = get_codec("refine", codec="jpeg:quality=20", model=str(folder), steps=STEPS)
    other = get_codec("refine", codec="jpeg:quality=20", model=str(folder), steps=STEPS, seed=1)
    assert np.array_equal(pictures(codec, stream)[SAMPLE], pictures(again, stream)[SAMPLE])
    assert not np.array_equal(pictures(codec, stream)[SAMPLE], pictures(other, stream)[SAMPLE])
    assert np.array_equal(pictures(codec, stream)[MEAN], pictures(other, stream)[MEAN])


def test_costs_are_those_of_both_stages(codec: Codec, images: list[np.ndarray]) -> None:
    (stream,) = codec.encode(images[:1])
    found = {one.name: one for one in codec.reconstructions(stream)}
    assert (found[MEAN].calls, found[SAMPLE].calls) == (1, STEPS)
    assert found[SAMPLE].macs == STEPS * found[MEAN].macs > 0
    assert found[DECODED].decode_ms < found[MEAN].decode_ms


def test_every_point_of_a_progressive_codec_is_refined(folder: Path, images: list[np.ndarray]) -> None:
    codec = get_codec("refine", codec="jpeg-progressive", model=str(folder), reconstruct="mean")
    inner = get_codec("jpeg-progressive")
    (stream,) = codec.encode(images[:1])
    assert codec.progressive
    assert [(p.name, p.n_bytes) for p in codec.points(stream)] == [(p.name, p.n_bytes) for p in inner.points(stream)]
    assert [found.point.name for found in codec.reconstructions(stream)] == [p.name for p in inner.points(stream)]


def test_latents_do_not_depend_on_the_rate_s_gains(images: list[np.ndarray]) -> None:
    found = []
    for quality in (6, 8):
        codec = get_codec("hyperprior", quality=quality)
        (latents,) = codec.latents(codec.encode(images[:1]))
        assert latents.shape == (128, 4, 4)
        found.append(latents)
    # At high rates both are about the same transform coefficients: their difference is quantization noise, at quality 6
    # of about a sixth of their deviation.
    assert np.corrcoef(found[0].ravel(), found[1].ravel())[0, 1] > 0.98
    assert found[0].std() == pytest.approx(found[1].std(), rel=0.01)


def test_pictures_from_latents(of_latents: Path, images: list[np.ndarray]) -> None:
    codec = get_codec("refine", codec="hyperprior:quality=2", model=str(of_latents), steps=2)
    for stream, image in zip(codec.encode(images), images, strict=True):
        found = pictures(codec, stream)
        assert {one.shape for one in found.values()} == {image.shape}
    with pytest.raises(StreamError):
        codec.decode([stream[:-1]])


def test_interpolation_of_mean_and_sample(folder: Path, images: list[np.ndarray]) -> None:
    inner = f"refine:codec=(jpeg:quality=20);model={folder};steps={STEPS}"
    codec = get_codec("interpolate", codec=inner, lam="0,0.5,1", mmse=MEAN, realistic=SAMPLE)
    (stream,) = codec.encode(images[:1])
    found, ends = pictures(codec, stream), pictures(codec.inner, stream)
    assert np.array_equal(found["lambda 0"], ends[MEAN])
    assert np.array_equal(found["lambda 1"], ends[SAMPLE])
    middle = np.rint((ends[MEAN].astype(float) + ends[SAMPLE]) / 2)
    assert np.array_equal(found["lambda 0.5"], middle)


def test_the_version_names_both_stages(codec: Codec, folder: Path) -> None:
    inner = get_codec("jpeg", quality=20)
    assert codec.version.startswith(f"{inner.version}, refined by small sha256:")
    assert type(codec).version_of(codec="jpeg:quality=20", model=str(folder)) == codec.version


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"codec": "jpeg"}, "no second stage for jpeg is shipped"),
        ({"codec": "jpeg", "model": "hfd-bgp"}, "no second stage 'hfd-bgp'"),
        ({"codec": "vdm:model=uqdm-pixel", "model": "FOLDER"}, "vdm is an ideal codec"),
        ({"codec": "jpeg", "model": "LATENTS"}, "jpeg has no latents"),
        ({"codec": "jpeg", "model": "uqdm-pixel"}, "no second stage 'uqdm-pixel'"),
        ({"codec": "jpeg:quality", "model": "FOLDER"}, "expected NAME or NAME:key=value"),
        ({"codec": "jpeg:quality=(2", "model": "FOLDER"}, "a parenthesis has no partner"),
    ],
)
def test_wrong_parameters_are_named(folder: Path, of_latents: Path, values: dict[str, str], message: str) -> None:
    paths = {"FOLDER": str(folder), "LATENTS": str(of_latents)}
    with pytest.raises(ParameterError, match=message):
        get_codec("refine", **{key: paths.get(value, value) for key, value in values.items()})


def test_a_reconstruction_that_the_codec_lacks_is_named(folder: Path, images: list[np.ndarray]) -> None:
    codec = get_codec("refine", codec="jpeg", model=str(folder), of="ancestral")
    with pytest.raises(ParameterError, match="jpeg has no reconstruction 'ancestral'"):
        codec.decode(codec.encode(images[:1]))


def test_a_model_of_another_kind_is_refused_with_its_use(folder: Path) -> None:
    from uqdm.model.files import CheckpointError
    from uqdm.model.zoo import load_named

    with pytest.raises(CheckpointError, match=f"is a model of a second stage: use it as refine:model={folder}"):
        load_named(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"condition": "latents"}, "latent_channels must be given for the condition latents"),
        ({"residual_scale": [[1, 0.1], [0, 0.2]]}, "residual_scale: rates must increase"),
        ({"network": {"widths": [4, 6], "blocks": [1]}}, "widths and blocks"),
        ({"network": {"widths": [4] * 6, "blocks": [1] * 6}}, "cannot be halved so often"),
        ({"settings": []}, "settings"),
    ],
)
def test_faults_of_a_configuration_are_named(change: dict[str, object], message: str) -> None:
    from uqdm.model.files import CheckpointError

    with pytest.raises(CheckpointError, match=message):
        models.build({"image_size": 16, "refine": {**PICTURE, **change}}, "config.json")


def test_the_rate_that_the_network_sees_is_that_of_the_whole_file() -> None:
    assert log2_bpp(1024, 32, 64) == 2.0
