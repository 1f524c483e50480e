"""Damaged, spliced and forged files of version 3: an error or the picture of the whole steps, in bounded memory.

Each stage has a check value of 16 bits: of N damages inside the last stage that is decoded, N / 65,536 go unnoticed on
average. The quick tests have some 160 such cases, of which 0.003 are expected to go unnoticed (none does, as seeds are
fixed), and the proofs 6,500, of which 0.1 are. Damage in an earlier stage is met by the checks of later ones, too.
"""

import contextlib
import itertools
import resource
import tracemalloc
from dataclasses import asdict, dataclass, replace

import numpy as np
import pytest
from deadline import no_hang
from small_bands import banded_codec

from uqdm.codec import StreamError
from uqdm.coding.container import MAX_PIXELS, Header, pack_head, pack_stages, parse
from uqdm.coding.layout import pack_number
from uqdm.progressive.banded.compressor import BandedUQDM

pytestmark = pytest.mark.slow

MIB = 1 << 20
AMOUNTS = pytest.mark.parametrize(
    "amount", [pytest.param(1, id="some cases"), pytest.param(40, id="many cases", marks=pytest.mark.proof)]
)


@dataclass(frozen=True)
class Sample:
    """A file with the pictures of its steps 0 to K + 1, and the image itself last."""

    codec: BandedUQDM
    file: bytes
    pictures: list[np.ndarray]

    @property
    def ends(self) -> list[int]:
        """Where the header and each stage end."""
        layout = parse(self.file)
        return [layout.stage_end(stage) for stage in range(layout.header.n_stages + 1)]


def sample(codec, image, seed):
    file = codec.compress(image, seed=seed)
    return Sample(codec, file, [picture.image_uint8 for picture in codec.pictures(file)])


@pytest.fixture(scope="module")
def samples(photographs_uint8):
    """Files of one tile, of two with a seed, and of two chunks."""
    codec, wide = banded_codec(), np.concatenate(photographs_uint8[:5], 1)
    images = (wide[:16, 100:116], wide[20:33, 10:30], wide[30:32, : 16 * 17])
    return [sample(codec, image, seed) for seed, image in enumerate(images)]


def outcome(item, data, step=None):
    """``refused``, ``right`` (the picture of the whole steps), or ``wrong``; any other error is raised."""
    try:
        with no_hang():
            image = item.codec.decompress(data, step)
    except StreamError:
        return "refused"
    held = min(parse(data).complete_stages(), len(item.pictures) - 1) if step is None else step
    return "right" if np.array_equal(image, item.pictures[held]) else "wrong"


def flip(data, *bits):
    out = bytearray(data)
    for bit in bits:
        out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def check_flips(item, rng, n_each):
    """Single bits in each stage, of a file cut at its end: damage to segments is refused, to lengths may look cut."""
    for stage, (begin, end) in enumerate(itertools.pairwise(item.ends), 1):
        n_lengths = parse(item.file).stages[0][stage - 1].begin - begin
        for bit in rng.integers(8 * begin, 8 * end, n_each).tolist():
            found = outcome(item, flip(item.file[:end], bit))
            allowed = {"refused", "right"} if bit < 8 * (begin + n_lengths) and stage > 1 else {"refused"}
            assert found in allowed, (stage, bit)


@AMOUNTS
def test_single_bits_in_each_stage_are_found(samples, amount):
    rng = np.random.default_rng(0)
    for item, n_each in zip(samples, (12, 6, 1), strict=True):
        check_flips(item, rng, n_each * amount)


def test_every_bit_of_the_header_is_guarded(samples):
    for item in samples:
        for bit in range(8 * item.ends[0]):
            # Even where the header states other pixels of as many tiles: the first check value covers it.
            assert outcome(item, flip(item.file, bit), 1) == "refused", bit


def damaged(data, other, rng):
    """Files damaged in many ways, each with a name."""
    begin = int(rng.integers(len(data)))
    end = begin + 1 + int(rng.integers(40))
    several = rng.choice(8 * len(data), int(rng.integers(2, 30)), replace=False).tolist()
    stage = int(rng.integers(5))
    yield "flipped", flip(data, *several)
    yield "overwritten", data[:begin] + rng.bytes(len(data[begin:end])) + data[end:]
    yield "cleared", data[:begin] + bytes(len(data[begin:end])) + data[end:]
    yield "deleted", data[:begin] + data[end:]
    yield "inserted", data[:begin] + rng.bytes(end - begin) + data[begin:]
    yield "doubled", data[:end] + data[begin:]
    yield "spliced", data[:begin] + other[int(rng.integers(len(other))) :]
    yield "spliced at a stage", data[: parse(data).stage_end(stage)] + other[parse(other).stage_end(stage) :]
    yield "swapped", data[:begin] + data[end : 2 * end - begin] + data[begin:end] + data[2 * end - begin :]


@AMOUNTS
def test_damaged_files_give_an_error_or_the_picture_of_whole_steps(samples, amount):
    rng, n_cases, n_refused = np.random.default_rng(2), 0, 0
    for index, n_each in ((0, 4), (1, 3), (2, 1)):
        item, other = samples[index], samples[index - 1].file
        for _ in range(n_each * amount):
            for name, data in damaged(item.file, other, rng):
                if data == item.file:
                    continue
                found = outcome(item, data)
                assert found != "wrong", name
                n_cases, n_refused = n_cases + 1, n_refused + (found == "refused")
    assert n_cases > 60 * amount
    assert n_refused > 0.8 * n_cases


def test_salvage_gives_the_picture_of_the_steps_before_the_damage(samples):
    item = samples[1]
    assert item.codec.salvage(item.file)[1] == "nothing"
    picture, reason = item.codec.salvage(item.file[:-1])
    assert (picture.step, reason) == (4, f"the file is cut at {len(item.file) - 1} bytes")
    for stage in range(2, 6):
        place = (parse(item.file).stages[0][stage - 1].begin + item.ends[stage]) // 2
        picture, reason = item.codec.salvage(flip(item.file, 8 * place))
        assert picture.step == stage - 1
        assert ("the last stage" if stage == 5 else f"step {stage}") in reason
        assert np.array_equal(picture.image_uint8, item.pictures[stage - 1])
    with pytest.raises(StreamError, match="nothing can be saved: step 1 of the file is damaged"):
        item.codec.salvage(flip(item.file, 8 * (item.ends[1] - 3)))


def test_salvage_of_damaged_files_gives_no_wrong_picture(samples):
    rng, n_saved, item = np.random.default_rng(3), 0, samples[0]
    for _ in range(4):
        for _, data in damaged(item.file, samples[1].file, rng):
            with no_hang(), contextlib.suppress(StreamError):
                picture, _ = item.codec.salvage(data)
                n_saved += 1
                assert np.array_equal(picture.image_uint8, item.pictures[-1 if picture.step is None else picture.step])
    assert n_saved > 15


def test_random_bytes_are_refused(samples):
    rng, item = np.random.default_rng(4), samples[1]
    for size in rng.integers(0, 200, 40).tolist():
        for begin in (b"", item.file[:3], item.file[:6], item.file[: item.ends[0]]):
            assert outcome(item, begin + rng.bytes(size)) == "refused"


def test_segments_of_other_chunks_and_files_are_refused(samples):
    item = samples[2]
    container = parse(item.file)
    segments = [[container.segment(chunk, stage) for stage in range(5)] for chunk in range(2)]
    assert pack_stages(container.header, segments) == item.file
    assert outcome(item, pack_stages(container.header, segments[::-1])) == "refused"
    for stage in range(5):  # those of other stages decode to other symbols, or not at all
        changed = [[*own[:stage], own[stage - 1], *own[stage + 1 :]] for own in segments]
        assert outcome(item, pack_stages(container.header, changed)) == "refused"
    for stage, longer in itertools.product((0, 4), (b"\0", b"\0\0", b"\1\2\3")):
        changed = [[*own[:stage], own[stage] + longer, *own[stage + 1 :]] for own in segments]
        assert outcome(item, pack_stages(container.header, changed)) == "refused"


# ---- forged headers: nothing but the check value of the first stage guards them -----------------------------------


class Forged(Header):
    """A header that the writer refuses to make."""

    def check(self):
        pass


HOSTILE = {
    "width": (0, 1, 17, 1 << 14, 1 << 20, (1 << 20) + 1, 1 << 31),
    "height": (0, 1, 14, 1 << 14, 1 << 20, (1 << 20) + 1, 1 << 31),
    "tile_size": (1, 8, 32, 1 << 15),
    "n_stages": (1, 4, 6, 16),
    "seed": (0, 2, (1 << 32) - 1, 1 << 32),
}


@contextlib.contextmanager
def memory_below(traced, resident):
    """Bounds the allocations inside, in bytes, and the growth of the process."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < traced
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < resident


def test_forged_headers_are_refused_in_bounded_memory(samples):
    item = samples[1]
    container = parse(item.file)
    body = item.file[item.ends[0] :]
    singles = [{name: value} for name, values in HOSTILE.items() for value in values]
    pairs = [{**a, **b} for a, b in itertools.combinations(singles, 2) if a.keys() != b.keys()]
    for fields in [*singles, *pairs[::3]]:
        header = Forged(**{**asdict(container.header), **fields})
        with contextlib.suppress(ValueError), memory_below(16 * MIB, 64 * MIB):
            data = pack_head(header) + body
            if data != item.file:
                assert outcome(item, data) == "refused", fields


def test_forged_lengths_are_refused_in_bounded_memory(samples):
    item = samples[1]
    head, body = item.file[: item.ends[0]], item.file[item.ends[0] :]
    for length in (0, 1, 2, 3, 4, 191, 192, 1 << 20, (1 << 32) - 1):
        with memory_below(MIB, 32 * MIB):
            assert outcome(item, head + pack_number(length) + body) == "refused"


def test_a_claim_of_the_largest_image_needs_its_lengths_and_no_memory(samples):
    codec = banded_codec(128, sigmas=(50.0,))
    item = Sample(codec, b"", [])
    header = replace(parse(codec.compress(samples[0].pictures[0])).header, width=1 << 14, height=1 << 14)
    assert header.width * header.height == MAX_PIXELS
    with memory_below(MIB, 32 * MIB):
        for step in (None, 0):
            assert outcome(item, pack_head(header), step) == "refused"
            assert outcome(item, pack_head(header) + b"\3" * 500, step) == "refused"
    claim = pack_head(header) + b"\3" * header.n_chunks + b"\1\0\0" * header.n_chunks
    # The lengths are there: room for the picture's 3 bytes a pixel is reserved, but not touched.
    with memory_below(3 * MAX_PIXELS + 64 * MIB, 256 * MIB):
        assert outcome(item, claim) == "refused"


def test_samples_have_the_expected_tiles(samples):
    assert [parse(item.file).header.n_tiles for item in samples] == [1, 2, 17]
    assert [parse(item.file).header.n_chunks for item in samples] == [1, 1, 2]
    assert [len(item.pictures) for item in samples] == [6, 6, 6]
