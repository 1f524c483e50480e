"""Files of models of a process in bands: lossless, progressive, golden, with clear errors, independent of the batch."""

import hashlib

import numpy as np
import pytest
import torch
from small_bands import (
    GOLDEN_FILE,
    GOLDEN_MODEL,
    banded_codec,
    banded_config,
    banded_model,
    constant_model,
)

import uqdm
from uqdm.banded import model as banded
from uqdm.banded.schedule import BandSchedule
from uqdm.codec import StreamError
from uqdm.coding.container import parse
from uqdm.model.files import CheckpointError
from uqdm.progressive.banded import chunks
from uqdm.progressive.banded.compressor import BandedUQDM

SIZES = [(16, 16), (19, 20), (1, 1), (7, 16 * 18 - 5)]  # of 1, 4, 1 and 18 tiles; the last has two chunks


@pytest.fixture(scope="module")
def codec():
    return banded_codec()


@pytest.fixture(scope="module")
def images(photographs_uint8):
    wide = np.concatenate(photographs_uint8[:5], 1)
    return [wide[7 : 7 + height, 11 : 11 + width] for height, width in SIZES]


@pytest.fixture(scope="module")
def files(codec, images):
    return codec.compress(images, seed=3)


@pytest.fixture(scope="module")
def pictures(codec, files):
    return [shown(codec, file) for file in files]


def shown(codec, file, *kinds):
    return [picture.image_uint8 for picture in codec.pictures(file, *kinds)]


def same(found, expected):
    return all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


# ---- round trips and prefixes ------------------------------------------------------------------------------------


def test_files_are_lossless_and_get_better_with_each_step(codec, images, files, pictures):
    assert same(codec.decompress(files), images)
    for image, file, steps in zip(images, files, pictures, strict=True):
        header = parse(file).header
        assert (header.version, header.n_stages, header.seed, len(steps)) == (3, 5, 3, 6)
        errors = [float(((step.astype(float) - image) ** 2).mean()) for step in steps]
        assert errors[-1] == 0
        if image.size > 100:
            assert errors == sorted(errors, reverse=True)


def test_pictures_equal_single_decodes_of_files_and_of_prefixes(codec, files, pictures):
    for step in range(codec.n_steps + 1):
        together = codec.decompress(files, step)
        assert same(together, [steps[step] for steps in pictures])
    for file, steps in zip(files[1:3], pictures[1:3], strict=True):
        for step in range(1, codec.n_steps + 1):
            prefix = codec.prefix(file, step)
            assert prefix.n_bytes == parse(file).stage_end(step)
            assert same(shown(codec, file[: prefix.n_bytes]), steps[: step + 1])


def test_files_cut_at_or_inside_a_stage_decode_to_their_whole_steps(codec, files, pictures):
    file, steps = files[1], pictures[1]
    ends = [parse(file).stage_end(step) for step in range(6)]
    inside = np.random.default_rng(0).integers(ends[0], ends[-1], 12).tolist()
    for place in sorted({end + by for end in ends[:-1] for by in (-1, 0, 1)} | set(inside)):
        cut, held = file[:place], sum(end <= place for end in ends[1:])
        if place < ends[0]:
            with pytest.raises(StreamError, match="ends inside"):
                codec.decompress(cut, 0)
            continue
        if held:
            assert np.array_equal(codec.decompress(cut), steps[held])
        else:
            with pytest.raises(StreamError, match="cut inside step 1"):
                codec.decompress(cut)
            assert np.array_equal(codec.decompress(cut, 0), steps[0])
        if held < codec.n_steps:
            with pytest.raises(StreamError, match=f"holds {held} whole steps, not {held + 1}"):
                codec.decompress(cut, held + 1)


def test_extreme_images_and_tile_sizes_round_trip():
    codec = banded_codec(32, sigmas=(300.0, 0.5), pixel_width=128)
    rng = np.random.default_rng(0)
    images = [np.zeros((5, 40, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)]
    images += [rng.integers(0, 256, (9, 33, 3), dtype=np.uint8), rng.choice([0, 255], (3, 5, 3)).astype(np.uint8)]
    assert same(codec.decompress(codec.compress(images)), images)
    assert codec.compress([]) == []


def test_ideal_bits_are_just_below_file_bits(codec, images, files):
    for image, file in zip(images, files, strict=True):
        (made,) = codec.compress_detailed([image], seed=3)
        assert made.stream == file
        assert np.diff(made.ideal_bits) == pytest.approx(codec.ideal_bits(file), abs=1e-6)
        n_streams = 5 * len(parse(file).header.chunks)
        # Rounding to cells costs little; a stream has a check value, a shift and parts of a byte, and a length.
        assert 0 < 8 * len(file) - made.ideal_bits[-1] < 8 * parse(file).header_bytes + 45 * n_streams + 250


# ---- nothing of how a codec is run matters -----------------------------------------------------------------------


def test_files_and_pictures_do_not_depend_on_batch_or_threads(codec, images, files, pictures):
    assert [codec.compress([image], seed=3)[0] for image in images[:3]] == files[:3]
    assert codec.compress(images[::-1], seed=3) == files[::-1]
    before = torch.get_num_threads()
    try:
        for n_threads, options in [(1, {"threads": 2}), (2, {"overlap": 3})]:
            torch.set_num_threads(n_threads)
            way = BandedUQDM(codec.model, **options)
            assert way.compress(images, seed=3) == files
            assert same(shown(way, files[3]), pictures[3])
    finally:
        torch.set_num_threads(before)


def test_ancestral_pictures_depend_on_their_seed_and_not_on_the_batch(codec, images, files):
    for step in (0, 2, codec.n_steps):
        together = codec.decompress(files[:3], step, "ancestral", noise_seed=5)
        assert same(together, [codec.decompress(file, step, "ancestral", noise_seed=5) for file in files[:3]])
        assert not np.array_equal(together[1], codec.decompress(files[1], step, "ancestral", noise_seed=6))
    found = codec.pictures(files[1], ("denoise", "ancestral"), noise_seed=5)
    assert [(picture.step, picture.reconstruction) for picture in found[-3:]] == [
        (4, "denoise"),
        (4, "ancestral"),
        (None, "exact"),
    ]
    assert np.array_equal(found[-2].image_uint8, together[1])
    # After the pixel step a sample has the right window of levels.
    assert np.abs(together[1].astype(int) - images[1]).max() < 9


def test_a_stored_file_decodes_to_the_pictures_it_was_made_with():
    # The file was written once and is kept; whatever changes what it decodes to is a new version of the format.
    codec, file = uqdm.load_model(GOLDEN_MODEL), GOLDEN_FILE.read_bytes()
    found = shown(codec, file)
    assert codec.model.sha256.startswith("01355f6a7ba29751")
    assert hashlib.sha256(file).hexdigest().startswith("1641af1300a8e44a0da646e05bd064ec")
    digest = hashlib.sha256(b"".join(picture.tobytes() for picture in found)).hexdigest()
    assert digest.startswith("ab651e269ecac8dbaf3608ce74b7f61d")
    assert codec.compress(found[-1], seed=7) == file


# ---- shifts of cells ---------------------------------------------------------------------------------------------


@pytest.fixture
def shifts(monkeypatch):
    """The shift that each decoded segment states."""
    found, read = [], chunks.read_shift
    monkeypatch.setattr(chunks, "read_shift", lambda reader: found.append(read(reader)) or found[-1])
    return found


def test_values_on_boundaries_of_cells_lead_to_shifts(images, shifts):
    codec = BandedUQDM(constant_model())
    files = codec.compress(images[:2])
    assert same(codec.decompress(files), images[:2])
    assert shifts[0] > 0
    assert len(shifts) == 2 * 5


def test_usual_values_need_no_shift(codec, files, shifts):
    codec.decompress(files)
    assert shifts == [0] * 5 * 5


def test_errors_below_the_tolerance_change_nothing_and_larger_ones_are_found(codec, files, pictures, monkeypatch):
    file, steps = files[1], pictures[1]
    for share, is_right in ((0.4, True), (1e5, False)):
        way = BandedUQDM(codec.model)
        make_noisy(way._networks.networks, share * 2.0**-32, monkeypatch)
        if is_right:
            assert same(shown(way, file), steps)
        else:
            with pytest.raises(StreamError, match=r"its check value differs|ends early|does not end|out of range"):
                way.decompress(file)


def make_noisy(networks, error, monkeypatch):
    """Adds errors to means and logarithms of deviations of all sections, up or down at random."""
    rng = np.random.default_rng(0)
    for network in (networks.bands, *networks.late):
        section = network.section

        def noisy(*arguments, section=section):
            outputs = section(*arguments)
            # Of a mean in bins or a deviation in octaves the error is less than the tolerance.
            return tuple(out + error / 2 * torch.from_numpy(rng.choice([-1.0, 1.0], out.shape)) for out in outputs)

        monkeypatch.setattr(network, "section", noisy)


# ---- arguments and models ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 1 << 32}, "seed"),
        ({"seeds": 2}, "seeds=2: small gains nothing from several seeds"),
        ({"seeds_for": "rate"}, "seeds_for='rate': choose one of"),
        ({"seeds_for": "all"}, "seeds_for='all'"),
    ],
)
def test_seeds_that_cannot_be_used_are_refused(codec, images, arguments, message):
    with pytest.raises(ValueError, match=message):
        codec.compress(images[0], **arguments)


def test_seeds_change_the_file_and_are_stored_in_it(codec, images, files):
    (other,) = codec.compress(images[:1], seed=(1 << 32) - 1, seeds=1)
    assert other != files[0]
    assert parse(other).header.seed == (1 << 32) - 1
    assert np.array_equal(codec.decompress(other), images[0])


@pytest.mark.parametrize(
    ("step", "kind", "message"),
    [
        (5, "denoise", r"step=5: must be in 0\.\.4"),
        (-1, "denoise", "step=-1"),
        (2, "flow", "reconstruction='flow': choose one of denoise, ancestral"),
        (None, "magic", "reconstruction='magic'"),
    ],
)
def test_unknown_steps_and_reconstructions_are_refused(codec, files, step, kind, message):
    with pytest.raises(ValueError, match=message):
        codec.decompress(files[0], step, kind)


def test_files_of_other_models_are_refused(codec, files):
    other = banded_codec(name="other", seed=1)
    with pytest.raises(StreamError, match=f"made with model {codec.model.sha256[:6]}, not with other"):
        other.decompress(files[0])
    with pytest.raises(StreamError, match="made with model"):
        uqdm.load_model("uqdm-pixel").decompress(files[0])
    with pytest.raises(StreamError, match="made with model"):
        codec.decompress(GOLDEN_FILE.parents[1] / "golden-v2.uqdm")


def test_saved_models_are_the_same_in_float32_and_others_in_float16(tmp_path):
    model = banded_model()
    for half in (False, True):
        banded.save(tmp_path / str(half), model.config, model.networks, half=half)
    assert banded.load(tmp_path / "False").sha256 == model.sha256
    assert banded.load(tmp_path / "True").sha256 != model.sha256


@pytest.mark.parametrize("sigmas", [(), (10.0, 10.0), (10.0, 9.9999), (5.0, 6.0), (2001.0,), (3.0, 0.4)])
def test_noise_levels_that_cannot_be_coded_are_refused(sigmas):
    with pytest.raises(ValueError, match=r"must fall by 0\.1 % each, and be 0\.5 to 2000 levels"):
        BandSchedule(sigmas, 9)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        banded.build(banded_config(sigmas=sigmas), "config.json")


def test_most_similar_noise_levels_code_losslessly(images):
    codec = banded_codec(sigmas=(0.501, 0.5))
    rng = np.random.default_rng(1)
    image = rng.choice([0, 255], (16, 16, 3)).astype(np.uint8)
    assert np.array_equal(codec.decompress(codec.compress(image)), image)
