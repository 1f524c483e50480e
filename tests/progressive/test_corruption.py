"""Damaged, cut, spliced and forged files: an error or the picture of the whole steps; no crash or hang, bounded memory.

Most cases use models of 8x8 tiles, whose files take milliseconds to decode; the code is that of any other model.
A lossless picture is guarded by a check value of 32 bits, that of a cut file by one of 16 bits for each whole step:
of N damaged cut files N / 65,536 go unnoticed on average. Seeds are fixed and N is some hundreds, so none does here.
"""

import binascii
import contextlib
import itertools
import resource
import tracemalloc
from dataclasses import asdict, dataclass, replace

import numpy as np
import pytest
from deadline import no_hang
from small_models import CODED_SLOPE, FREE_SLOPE, small_codec, small_sections_codec

import uqdm
from uqdm.codec import StreamError
from uqdm.coding.container import MAX_PIXELS, Header, pack, parse
from uqdm.progressive import UQDM, tiles

pytestmark = pytest.mark.slow

AMOUNTS = pytest.mark.parametrize(
    "amount", [pytest.param(1, id="some cases"), pytest.param(3, id="all cases", marks=pytest.mark.proof)]
)
"""Each test of many random cases has a third of them where the proofs are left out."""

LARGEST_NUMBER = b"\xff" * 5
MIB = 1 << 20


@dataclass(frozen=True)
class Sample:
    """A file with the pictures of its steps 0 to T, and the image itself last."""

    codec: UQDM
    file: bytes
    pictures: list[np.ndarray]


def sample(codec, image, **options):
    (file,) = codec.compress([image], **options)
    return Sample(codec, file, [picture.image_uint8 for picture in codec.pictures(file)])


@pytest.fixture(scope="module")
def small(tmp_path_factory, photographs_uint8):
    """Files of one tile, of several tiles with their own seeds, of two chunks, with a last stage, and of sections."""
    free = small_codec(tmp_path_factory.mktemp("model") / "free", FREE_SLOPE)
    coded = small_codec(tmp_path_factory.mktemp("model") / "coded", CODED_SLOPE)
    photograph = photographs_uint8[0]
    return [
        sample(free, photograph[:8, :8]),
        sample(free, photograph[10:21, :20], seed=3, seeds=4),
        sample(free, photograph[:40, 20:57]),
        sample(coded, photograph[30:38, 30:47]),
        sample(small_sections_codec(FREE_SLOPE, (2, 3, 4, 2)), photograph[20:31, 20:40], seed=3, seeds=4),
        sample(small_sections_codec(CODED_SLOPE, bounded=True), photograph[12:20, 30:47]),
    ]


@pytest.fixture(scope="module")
def shipped(photographs_uint8):
    """Files of the shipped model."""
    codec = uqdm.load_model("uqdm-pixel")
    return [sample(codec, photographs_uint8[1][20:28, 20:28]), sample(codec, photographs_uint8[2])]


# ---- damage: functions of a file, a random generator and another file ---------------------------------------------


def some_range(data, rng, longest=40):
    begin = int(rng.integers(len(data)))
    return begin, begin + 1 + int(rng.integers(longest))


def flip_one(data, rng, _):
    return flip(data, [int(rng.integers(8 * len(data)))])


def flip_several(data, rng, _):
    return flip(data, rng.choice(8 * len(data), int(rng.integers(2, 30)), replace=False).tolist())


def flip(data, bits):
    out = bytearray(data)
    for bit in bits:
        out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def overwrite(data, rng, _):
    begin, end = some_range(data, rng)
    return data[:begin] + rng.bytes(len(data[begin:end])) + data[end:]


def clear(data, rng, _):
    begin, end = some_range(data, rng)
    return data[:begin] + bytes(len(data[begin:end])) + data[end:]


def exchange(data, rng, _):
    (a, b), (c, d) = some_range(data, rng, 20), some_range(data, rng, 20)
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:] if b <= c else data[:a] + data[c:d] + data[b:]


def insert(data, rng, _):
    at = int(rng.integers(len(data) + 1))
    return data[:at] + rng.bytes(1 + int(rng.integers(20))) + data[at:]


def double(data, rng, _):
    begin, end = some_range(data, rng)
    return data[:end] + data[begin:]


def splice(data, rng, other):
    """The beginning of one file and the end of another; half of the time at the end of a stage of both."""
    if rng.integers(2):
        stage = int(rng.integers(4))
        return data[: parse(data).stage_end(stage)] + other[parse(other).stage_end(stage) :]
    return data[: int(rng.integers(len(data)))] + other[int(rng.integers(len(other))) :]


def delete(data, rng, _):
    begin, end = some_range(data, rng)
    return data[:begin] + data[end:]


def cut_and_flip(data, rng, _):
    """Cut after the first, second, ... stage, and a bit flipped; half of the time at the end, where offsets are."""
    stages = parse(data)
    end = stages.stage_end(int(rng.integers(1, stages.header.n_stages)))
    last = 8 * min(end, 10) if rng.integers(2) else 8 * end
    return flip(data[:end], [8 * end - 1 - int(rng.integers(last))])


AS_LONG = (flip_one, flip_several, overwrite, clear, exchange, insert, double, splice)
SHORTER = (delete, cut_and_flip)


# ---- what must come of it ----------------------------------------------------------------------------------------


def outcome(sample, data):
    """``refused``, ``right`` (the picture of the whole steps), or ``wrong``; any other error is raised."""
    try:
        with no_hang():
            (image,) = sample.codec.decompress([data])
    except StreamError:
        return "refused"
    held = parse(data).complete_stages()
    whole = parse(sample.file).header.n_stages
    expected = sample.pictures[-1 if held == whole else min(held, sample.codec.n_steps)]
    return "right" if np.array_equal(image, expected) else "wrong"


def outcomes(samples, ways, n_each, seed):
    """Number of each outcome in ``n_each`` cases of each kind of damage and sample."""
    rng = np.random.default_rng(seed)
    found = dict.fromkeys(("refused", "right", "wrong"), 0)
    for (index, item), way in itertools.product(enumerate(samples), ways):
        for _ in range(n_each):
            data = way(item.file, rng, samples[index - 1].file)
            if data != item.file:
                found[outcome(item, data)] += 1
    return found


@AMOUNTS
def test_damage_to_a_whole_file_is_refused(small, shipped, amount):
    found = outcomes(small, AS_LONG, 12 * amount, seed=0)
    assert found["wrong"] == 0
    # What is spliced or exchanged may end before the damage's own stage, and then shows the steps before it.
    assert found["refused"] > 0.9 * sum(found.values())
    assert sum(found.values()) > 550 * amount
    found = outcomes(shipped, AS_LONG, 5 * amount, seed=1)
    assert found["wrong"] == 0
    assert sum(found.values()) > 75 * amount


@AMOUNTS
def test_damage_to_a_cut_file_is_refused_or_after_its_whole_steps(small, shipped, amount):
    found = outcomes(small, SHORTER, 12 * amount, seed=2)
    assert found["wrong"] == 0
    assert sum(found.values()) > 135 * amount
    assert outcomes(shipped, SHORTER, 7 * amount, seed=3)["wrong"] == 0


@AMOUNTS
def test_a_file_cut_anywhere_gives_the_picture_of_its_whole_steps(small, shipped, amount):
    rng = np.random.default_rng(4)
    for item in [*small, *shipped]:
        ends = [parse(item.file).stage_end(stage) for stage in range(parse(item.file).header.n_stages + 1)]
        places = {end + by for end in ends for by in (-1, 0, 1)} | set(
            rng.integers(0, len(item.file), 20 * amount).tolist()
        )
        for place in sorted(places & set(range(len(item.file)))):
            # Without a single whole step there is no picture, unless step 0 is asked for.
            expected = "refused" if place < ends[1] else "right"
            assert outcome(item, item.file[:place]) == expected, place


@AMOUNTS
def test_the_last_step_of_a_damaged_file_is_refused(small, amount):
    rng, n_cases = np.random.default_rng(7), 0
    for item in small:
        begin, end = parse(item.file).stage_end(3), parse(item.file).stage_end(4)
        for place in rng.integers(8 * begin, 8 * end, 20 * amount).tolist():
            with no_hang(), contextlib.suppress(StreamError):
                (image,) = item.codec.decompress([flip(item.file, [place])], 4)
                assert np.array_equal(image, item.pictures[4])
            n_cases += 1
    assert n_cases == 120 * amount


@AMOUNTS
def test_salvage_of_damaged_files_gives_no_wrong_picture(small, amount):
    rng, n_saved = np.random.default_rng(5), 0
    for item, way in itertools.product(small, (flip_one, overwrite, clear, cut_and_flip)):
        for _ in range(5 * amount):
            data = way(item.file, rng, b"")
            if data == item.file:
                continue
            with no_hang(), contextlib.suppress(StreamError):
                picture, _ = item.codec.salvage(data)
                n_saved += 1
                assert np.array_equal(picture.image_uint8, item.pictures[-1 if picture.step is None else picture.step])
    assert n_saved > 17 * amount


def test_random_bytes_are_refused(small, shipped):
    rng = np.random.default_rng(6)
    for item in (small[0], small[3], small[5], shipped[0]):
        n_head = parse(item.file).header_bytes
        for size in rng.integers(0, 300, 60).tolist():
            for begin in (b"", item.file[:3], item.file[:9], item.file[: n_head - 2], item.file[:n_head]):
                assert outcome(item, begin + rng.bytes(size)) == "refused"


# ---- forged headers: their check value is right, what they say is not --------------------------------------------


def forge(head, index, body=b""):
    """A file whose header (without its check value) and index are as given."""
    return head + binascii.crc_hqx(head + index, 0xFFFF).to_bytes(2, "big") + index + body


HOSTILE = {
    "width": (0, 1, 1 << 14, 1 << 20, (1 << 20) + 1, 1 << 31),
    "height": (0, 1, 1 << 14, 1 << 20, (1 << 20) + 1, 1 << 31),
    "tile_size": (1, 4, 16, 64, 1 << 15),
    "seed": (1, 1 << 31),
    "seed_bits": (1, 8, 15),
    "double": (True,),
    "version": (1, 2),
}


class Forged(Header):
    """A header that the writer refuses to make."""

    def check(self):
        pass


def pack_as(item, **fields):
    """The file with other fields in its header."""
    container = parse(item.file)
    n_stages, n_chunks = container.header.n_stages, range(len(container.header.chunks))
    streams = [container.stream(chunk, n_stages) for chunk in n_chunks]
    marks = [[len(container.stream(chunk, stage)) for stage in range(1, n_stages)] for chunk in n_chunks]
    checks = [[stage.check for stage in container.stages[chunk][:-1]] for chunk in n_chunks]
    return pack(Forged(**{**asdict(container.header), **fields}), streams, marks, checks)


def forged_headers(item, step):
    """Files with a wrong field in the header, and every ``step``-th with two, or with a changed byte 6 to 8."""
    singles = [{name: value} for name, values in HOSTILE.items() for value in values]
    pairs = [{**a, **b} for a, b in itertools.combinations(singles, 2) if a.keys() != b.keys()]
    yield from (pack_as(item, **fields) for fields in [*singles, *pairs[::step]])
    container = parse(item.file)
    n_head, end = container.header_bytes - 2, container.stage_end(0)
    for place, value in itertools.product((6, 7, 8), range(0, 256, step)):
        head = item.file[:place] + bytes([value]) + item.file[place + 1 : n_head]
        yield forge(head, item.file[n_head + 2 : end], item.file[end:])


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


@AMOUNTS
def test_forged_headers_are_refused_or_decode_in_bounded_memory(small, amount):
    n_refused = 0
    for item in (small[1], small[4]):
        item.codec.pictures(item.file)  # whatever is loaded once is loaded
        for data in forged_headers(item, step=3 // amount):
            # A file of a kilobyte cannot back a claim of more than some hundred chunks, of 16 tiles of 192 bytes.
            with memory_below(4 * MIB, 32 * MIB):
                # Some claims are harmless: a size of as many tiles, float64. Their pictures are of the claimed size.
                n_refused += outcome(replace(item, pictures=[np.empty(0)] * 6), data) == "refused"
    assert n_refused > 333 * amount


def test_forged_seeds_beyond_32_bits_are_refused(small):
    for fields in ({"seed": 1 << 32}, {"seed": (1 << 32) - 1, "seed_bits": 8}):
        assert outcome(small[0], pack_as(small[0], **fields)) == "refused"


def test_forged_indices_are_refused_in_bounded_memory(small):
    item = small[0]
    n_head = parse(item.file).header_bytes - 2
    head, body = item.file[:n_head], item.file[parse(item.file).stage_end(0) :]
    numbers = (b"\0", b"\1", b"\x7f", b"\xbf", LARGEST_NUMBER)
    for lengths in itertools.product(numbers, repeat=4):
        index = b"\0\0".join(lengths)
        with memory_below(MIB, 32 * MIB):
            assert outcome(item, forge(head, index, body)) == "refused"


def test_a_chunk_without_a_stream_is_refused_before_any_picture_is_made(small):
    header = parse(small[0].file).header
    claim = pack(header, [b""] * len(header.chunks), [[0] * 3] * len(header.chunks), [[0] * 3] * len(header.chunks))
    with pytest.raises(StreamError, match="0 bytes are no stream"):
        parse(claim)


def test_header_of_maximal_size_allocates_no_image(shipped):
    header = replace(parse(shipped[0].file).header, width=1 << 14, height=1 << 14)
    assert header.width * header.height == MAX_PIXELS
    streams, marks, checks = ([item] * len(header.chunks) for item in (b"", [0] * 3, [0] * 3))
    claim = pack(header, streams, marks, checks)
    with memory_below(MIB, 32 * MIB):
        assert outcome(shipped[0], claim[:2000]) == "refused"
    # The whole index is there: room for the picture's 3 bytes a pixel is reserved, but not touched.
    with memory_below(3 * MAX_PIXELS + 64 * MIB, 64 * MIB):
        assert outcome(shipped[0], claim) == "refused"


def test_samples_have_the_expected_tiles(small):
    assert [parse(item.file).header.n_tiles for item in small] == [1, 6, 25, 3, 6, 3]
    assert [len(parse(item.file).header.chunks) for item in small] == [1, 1, 2, 1, 1, 1]
    assert [parse(item.file).header.n_stages for item in small] == [4, 4, 4, 5, 4, 5]
    assert [parse(item.file).header.version for item in small] == [1, 1, 1, 1, 2, 2]
    assert parse(small[1].file).header.seed_bits == 2
    assert tiles.cut(small[0].pictures[-1], 8, [0]).shape == (1, 8, 8, 3)
