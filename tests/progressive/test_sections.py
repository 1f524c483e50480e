"""Models of several sections per step, or of bounded densities: lossless, and independent of how they are run."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import CODED_SLOPE, FREE_SLOPE, SmallSections, small_codec, small_sections_codec

from uqdm.codec import StreamError
from uqdm.coding.container import parse
from uqdm.coding.lattice import MAX_BINS
from uqdm.model.checkpoint import Model
from uqdm.model.schedule import Schedule
from uqdm.model.sectioned import SectionedDenoiser
from uqdm.progressive import UQDM, tolerance
from uqdm.progressive.predictor import Outputs, Predictor

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent / "golden-v2.uqdm"
KINDS = {
    "sections": (FREE_SLOPE, (1, 3, 4, 2), False),
    "sections, first step too": (CODED_SLOPE, (2, 3, 4, 2), False),
    "bounded": (FREE_SLOPE, (1, 1, 1, 1), True),
    "sections, bounded": (CODED_SLOPE, (1, 3, 4, 2), True),
}


@pytest.fixture(scope="module", params=KINDS)
def codec(request):
    slope, n_sections, bounded = KINDS[request.param]
    return small_sections_codec(slope, n_sections, bounded=bounded)


@pytest.fixture(scope="module")
def images(photographs_uint8):
    """Images of 1, 6 and 25 tiles."""
    photograph = photographs_uint8[1]
    return [photograph[:8, :8], photograph[8:20, :20], photograph[:33, 10:45]]


def all_pictures(codec, file):
    return np.stack([picture.image_uint8 for picture in codec.pictures(file)])


def test_files_are_lossless_and_get_better_with_each_step(codec, images):
    for image, file in zip(images, codec.compress(images), strict=True):
        assert parse(file).header.version == 2
        pictures = all_pictures(codec, file)
        errors = ((pictures.astype(float) - image) ** 2).reshape(len(pictures), -1).mean(1).tolist()
        assert errors[1:] == sorted(errors[1:], reverse=True)  # steps 0 and 1 of these models are hardly guesses
        assert errors[-1] == 0


def test_pictures_do_not_depend_on_batch_threads_precision_or_kernels(codec, images):
    files = codec.compress(images)
    expected = [all_pictures(codec, file) for file in files]
    ways = [UQDM(codec.model, precision="float64"), UQDM(codec.model, overlap=3)]
    for way in ways:
        assert all((all_pictures(way, file) == a).all() for file, a in zip(files, expected, strict=True))
    for step in (1, 2, 3, 4, None):
        together = codec.decompress(files, step)  # in one batch, unlike above
        shown = [pictures[-1 if step is None else step] for pictures in expected]
        assert all((a == b).all() for a, b in zip(together, shown, strict=True))
    threads, onednn = torch.get_num_threads(), torch.backends.mkldnn.enabled
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        torch.backends.mkldnn.set_flags(False)
        assert all((all_pictures(codec, file) == a).all() for file, a in zip(files, expected, strict=True))
    finally:
        torch.set_num_threads(threads)
        torch.backends.mkldnn.set_flags(onednn)


def test_files_do_not_depend_on_their_batch(codec, images):
    files = codec.compress(images)
    assert [codec.compress([image])[0] for image in images] == files


def test_errors_up_to_the_tolerance_change_no_pixel(codec, images, monkeypatch):
    files = codec.compress(images)
    expected = [all_pictures(codec, file) for file in files]
    for seed in range(3):
        decoder = UQDM(codec.model)
        make_noisy(decoder, monkeypatch, 0.999, seed)
        assert all((all_pictures(decoder, file) == a).all() for file, a in zip(files, expected, strict=True))


def test_errors_far_beyond_the_tolerance_raise_stream_error(codec, images, monkeypatch):
    decoder = UQDM(codec.model)
    make_noisy(decoder, monkeypatch, 3e4, 0)
    for file in codec.compress(images):
        with pytest.raises(StreamError, match=r"its check value differs|ends early|does not end|out of range"):
            decoder.decompress([file])


def make_noisy(codec, monkeypatch, share, seed):
    """Adds errors of exactly ``share`` of the tolerance, up or down at random, to all outputs of the network."""
    predictor, tolerances, rng = codec.predictor(), codec.tolerances(), np.random.default_rng(seed)
    predict, open_step = predictor.predict, predictor.open

    def noisy_predict(opened, number, n_s):
        outputs, step, bears = predict(opened, number, n_s), predictor.steps[opened.index], tolerances[opened.index]
        x_hat = outputs.x_hat + share * bears.x_hat * rng.choice([-1.0, 1.0], outputs.x_hat.shape)
        log2_scale = outputs.log2_scale + share * bears.log2_scale * rng.choice([-1.0, 1.0], outputs.x_hat.shape)
        return Outputs(x_hat, x_hat * (step.x_weight / step.width), log2_scale)

    class NoisyStep:
        def __init__(self, opened):
            self.index, self.z_t, self.opened = opened.index, opened.z_t, opened.opened
            error = rng.choice([-1.0, 1.0], opened.x_hat.shape) if opened.index else 0.0
            self.x_hat = opened.x_hat + share * tolerances[opened.index].x_hat * error

        def rows(self, begin, end):
            part = object.__new__(NoisyStep)
            part.__dict__ = {**self.__dict__, "x_hat": self.x_hat[begin:end]}
            return part

    monkeypatch.setattr(predictor, "predict", noisy_predict)
    monkeypatch.setattr(predictor, "open", lambda *arguments: NoisyStep(open_step(*arguments)))


def test_ideal_bits_agree_with_the_unrounded_model_and_are_just_below_file_bits(codec, images):
    made = codec.compress_detailed(images)
    for item in made:
        assert np.diff(item.ideal_bits) == pytest.approx(codec.ideal_bits(item.stream), abs=1e-4)  # float32 batches
    # In 25 tiles of 8x8, grids and pictures take some 40 bits a tile and step; the last stage saves some.
    assert made[-1].ideal_bits[-2] < 8 * len(made[-1].stream) < 1.15 * made[-1].ideal_bits[-1]


def test_cut_files_decode_to_their_whole_steps(codec, images):
    (file,) = codec.compress(images[1:2])
    pictures, container = all_pictures(codec, file), parse(file)
    for step in range(1, 5):
        cut = file[: container.stage_end(step)]
        if len(cut) < len(file):
            assert (codec.decompress([cut])[0] == pictures[step]).all()
            assert (all_pictures(codec, cut) == pictures[: step + 1]).all()
        with pytest.raises(StreamError, match=f"holds {step - 1} whole steps"):
            codec.decompress([cut[:-1]], step)


def test_sampled_pictures_are_seeded_within_bounds_and_better_with_each_step(codec, images):
    (file,) = codec.compress(images[2:])
    for kind in ("ancestral", "flow"):
        shown = [codec.decompress([file], step, kind)[0].astype(float) for step in range(5)]
        errors = [((picture - images[2]) ** 2).mean() for picture in shown]
        assert errors[1:] == sorted(errors[1:], reverse=True)
    a, b, c = (codec.decompress([file], 1, "ancestral", noise_seed=seed)[0] for seed in (0, 0, 1))
    assert (a == b).all()
    assert np.abs(a.astype(int) - c).mean() > 1


def test_margin_error_falls_back_to_float64(codec, images, monkeypatch):
    coarse = [tolerance.StepTolerance(0.02, 0.05)] * 4  # no offsets can bear so much
    monkeypatch.setitem(codec._tolerances, False, coarse)
    (file,) = codec.compress(images[:1])
    monkeypatch.undo()
    assert parse(file).header.double
    assert (codec.decompress([file])[0] == images[0]).all()


def test_file_version_of_another_model_is_refused(codec, images, tmp_path):
    (file,) = codec.compress(images[:1])
    plain = small_codec(tmp_path / "plain", FREE_SLOPE)
    (other,) = plain.compress(images[:1])
    assert parse(other).header.version == 1
    with pytest.raises(StreamError, match="check value differs"):  # the version is guarded as all of the header is
        codec.decompress([file[:2] + b"\1" + file[3:]])
    with pytest.raises(StreamError, match="made with model"):
        codec.decompress([other])


def test_bounds_save_bits_and_change_nothing_else(images):
    free, bounded = (small_sections_codec(FREE_SLOPE, bounded=bounded) for bounded in (False, True))
    sizes = [[len(file) for file in codec.compress(images)] for codec in (free, bounded)]
    # Measured: 5.5 %, most of it in the steps after the first, whose windows are ten bins wide or less.
    assert sum(sizes[1]) < 0.96 * sum(sizes[0])


@pytest.fixture(scope="module")
def sectioned():
    """The sectioned denoiser with random weights, for tiles of 16x16."""
    torch.manual_seed(0)
    networks = [{"width": 4, "dilations": [1], "hidden": 4, "inner": inner} for inner in ([], [1], [])]
    schedule = Schedule(FREE_SLOPE, 6.0, 4)
    denoiser = SectionedDenoiser(schedule, networks=networks)
    for weights in denoiser.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    model = Model("random", denoiser.eval().requires_grad_(False), schedule, 16, {}, "0" * 64)
    return UQDM(replace(model, config={"tolerance": tolerance.to_data(tolerance.measure(model))}))


def test_sectioned_denoiser_codes_losslessly(sectioned, photographs_uint8):
    images = [photograph[20:45, 10:35] for photograph in photographs_uint8[:2]]
    made = sectioned.compress_detailed(images)
    found = sectioned.decompress([item.stream for item in made])
    assert all((a == b).all() for a, b in zip(found, images, strict=True))


def test_sections_do_not_depend_on_later_sections(sectioned):
    predictor, rng = sectioned.predictor(), np.random.default_rng(0)
    n_t, n_s = rng.integers(-4000, 4000, (2, 3, predictor.n_coordinates))
    for index, sections in enumerate(predictor.sections):
        opened = predictor.open(index, n_t, [0, 0, 0])
        whole = predictor.predict_all(opened, n_s)
        for number, (begin, end) in enumerate(sections.spans):
            known = n_s.copy()
            known[:, sections.order[begin:]] = 0
            part = predictor.predict(opened, number, known)
            assert (part.x_hat == whole.x_hat[:, begin:end]).all()
            assert (part.log2_scale == whole.log2_scale[:, begin:end]).all()


def test_sections_predicted_in_turn_equal_those_predicted_at_once(sectioned):
    predictor, rng = Predictor(sectioned.model, double=True), np.random.default_rng(0)
    n_t, n_s = rng.integers(-2000, 2000, (2, 3, predictor.n_coordinates))
    for index, step in enumerate(predictor.steps):
        opened = predictor.open(index, n_t, [0, 0, 0])
        found = predictor.predict_all(opened, n_s)
        expected = predictor.denoiser.predict_all(opened.z_t, predictor.latents(index + 1, n_s), step)
        x_hat = expected.x_hat.expand_as(opened.z_t).flatten(1).clamp(-1, 1)[:, predictor.sections[index].order]
        assert found.x_hat == pytest.approx(x_hat.numpy(), abs=1e-12)


def test_empty_sections_are_refused():
    denoiser = SmallSections((1, 30, 1, 1)).eval()
    denoiser.section_of = lambda step, *shape: torch.zeros(shape, dtype=torch.int64)
    with pytest.raises(ValueError, match="step 2: its 30 sections"):
        Predictor(Model("empty", denoiser, Schedule(FREE_SLOPE, 6.0, 4), 8, {}, "0" * 64))


def test_too_many_bounded_symbols_are_refused():
    denoiser = SmallSections((1,), bounded=True).eval()
    with pytest.raises(ValueError, match=f"more than {MAX_BINS}"):
        Predictor(Model("fine", denoiser, Schedule(60.0, 6.0, 1), 8, {}, "0" * 64))


def test_a_stored_file_decodes_to_the_pictures_it_was_made_with():
    # Written once and kept, as its version 1 elder (test_compressor.py). The model's weights are computed, not stored.
    codec = small_sections_codec(CODED_SLOPE, (1, 3, 4, 2), bounded=True)
    file = GOLDEN.read_bytes()
    pictures = b"".join(picture.image_uint8.tobytes() for picture in codec.pictures(file))
    assert codec.model.sha256[:16] == "2878f6756404231d"
    assert hashlib.sha256(file).hexdigest()[:32] == "17bfe05bc6aa948d5f420c0da37df46f"
    assert hashlib.sha256(pictures).hexdigest()[:32] == "50c0f5d22c5da2e38048d08dccd9ab91"
