"""A decoder written from docs/format.md alone gives the same pictures; only the network is the project's.

Slow and simple on purpose: whole numbers of Python where the page says integers. Where it fails while the project's own
tests pass, the page is wrong.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import math
import re
import zlib
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import torch
from small_models import CODED_SLOPE, FREE_SLOPE, small_codec, small_sections_codec

from uqdm.model.zoo import load_named

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[1] / "docs" / "format.md"
GOLDEN = Path(__file__).parent / "progressive" / "golden-v1.uqdm"
GOLDEN_MODEL = GOLDEN.parent / "golden-v1-model"
GOLDEN_PIXEL = GOLDEN.parent / "golden-pixel.uqdm"

# ---- header and index ---------------------------------------------------------------------------------------------


def number(data, at):
    """A number of 1 to 5 bytes at a place, and the place after it."""
    first, begins = data[at], (0, 192, 240, 252, 255, 256)
    below, n_more = 0, 0
    while first >= begins[n_more + 1]:
        below += (begins[n_more + 1] - begins[n_more]) << 8 * n_more
        n_more += 1
    value = first - begins[n_more]
    for byte in data[at + 1 : at + 1 + n_more]:
        value = value << 8 | byte
    return below + value, at + 1 + n_more


def crc16(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def parse(data):
    """The fields of the header, and of each chunk the segments that are there whole, and check values."""
    flags, layout, eps = data[6:9]
    head = {
        "magic": data[:2],
        "version": data[2],
        "model": data[3:6],
        "double": flags & 1,
        "seed_bits": flags >> 1 & 15,
    }
    head |= {"tile": 1 << (layout >> 4), "n_stages": (layout & 15) + 1, "eps": (2.0 ** -(4 + 2 * (eps >> 4)), eps & 15)}
    at, width, height, seed = 9, head["tile"], head["tile"], 0
    if flags & 32:
        width, at = number(data, at)
        height, at = number(data, at)
    if flags & 64:
        seed, at = number(data, at)
    head |= {"width": width, "height": height, "seed": seed}
    begin, columns, rows = at, -(-width // head["tile"]), -(-height // head["tile"])
    head["n_tiles"] = columns * rows
    at += 2
    sizes, checks = [], []
    for _ in range(-(-head["n_tiles"] // 16)):
        sizes.append([])
        checks.append([])
        for stage in range(head["n_stages"]):
            words, at = number(data, at)
            sizes[-1].append(2 * words)
            if stage < head["n_stages"] - 1:
                checks[-1].append(int.from_bytes(data[at : at + 2], "big"))
                at += 2
    assert crc16(data[:begin] + data[begin + 2 : at]) == int.from_bytes(data[begin : begin + 2], "big")
    streams, ends = [b""] * len(sizes), [at]
    for stage in range(head["n_stages"]):
        for chunk, lengths in enumerate(sizes):
            streams[chunk] += data[at : at + lengths[stage]]
            at += lengths[stage]
        ends.append(at)
    return head, streams, checks, ends


def parse_staged(data):
    """The fields of the header of version 3, by stage the segments of its chunks, and where header and stages end."""
    assert data[:3] == b"UQ\3"
    layout, flags = data[6:8]
    tile, at, seed = 1 << (layout >> 4), 8, 0
    assert flags & ~96 == 0
    width, height = tile, tile
    if flags & 32:
        width, at = number(data, at)
        height, at = number(data, at)
    if flags & 64:
        seed, at = number(data, at)
    head = {"model": data[3:6], "tile": tile, "n_stages": (layout & 15) + 1, "seed": seed}
    head |= {"width": width, "height": height, "n_tiles": -(-width // tile) * -(-height // tile)}
    stages, ends = [], [at]
    while len(stages) < head["n_stages"] and at < len(data):
        lengths = []
        for _ in range(-(-head["n_tiles"] // 16)):
            length, at = number(data, at)
            lengths.append(length)
        stages.append([])
        for length in lengths:
            stages[-1].append(data[at : at + length])
            at += length
        ends.append(at)
    return head, stages, ends


# ---- the stream ---------------------------------------------------------------------------------------------------

with localcontext(Context(prec=60)):
    S = [round(2**30 / (1 + (-Decimal(i) / 256).exp())) for i in range(5120)] + [2**30, 2**30]
    P = [round(2**30 * Decimal(2) ** (-Decimal(i) / 2048)) for i in range(2048)]


def logistic(edge, scale):
    argument = abs(edge) * P[scale & 2047] >> 26 + (scale >> 11)
    if argument >= 20 << 20:
        value = 2**30
    else:
        i, rest = argument >> 12, argument & 4095
        value = S[i] + ((S[i + 1] - S[i]) * rest >> 12)
    return value if edge >= 0 else 2**30 - value


class Stream:
    def __init__(self, data):
        self.x = int.from_bytes(data[:6], "big")
        self.words = np.frombuffer(data, ">u2", len(data) // 2 - 3, 6).tolist()
        self.n = 0

    def pop(self, first, frequency):
        self.x = frequency * (self.x >> 24) + self.x % 2**24 - first
        while self.x < 2**32:
            self.x = self.x << 16 | self.words[self.n]
            self.n += 1

    def raw(self, bits):
        value = self.x % 2**24 >> 24 - bits
        self.pop(value << 24 - bits, 1 << 24 - bits)
        return value

    def choice(self, count):
        if count == 1:
            return 0
        share = 2**24 // count
        value = min(self.x % 2**24 // share, count - 1)
        self.pop(value * share, share if value < count - 1 else 2**24 - value * share)
        return value

    def excess(self):
        length = self.raw(6)
        assert length <= 33
        value = 1
        for bits in [length % 16] * (length % 16 > 0) + [16] * (length // 16):
            value = value << bits | self.raw(bits)
        return value - 1

    def symbol(self, location, scale):
        base, rest, octave = location >> 16, location & 0xFFFF, (scale >> 11) + 1
        half = (17 << octave if octave >= 0 else 17 >> -octave) + 2

        def c(offset):
            return 1 + offset + half + ((2**24 - 2 * half - 2) * logistic((offset << 16) - rest, scale) >> 30)

        slot, low, high = self.x % 2**24, -half, half
        if slot < c(low):
            self.pop(0, c(low))
            return base - half - 1 - self.excess()
        if slot >= c(high):
            self.pop(c(high), 2**24 - c(high))
            return base + half + self.excess()
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if slot >= c(middle) else (low, middle)
        self.pop(c(low), c(low + 1) - c(low))
        return base + low

    def bounded(self, location, scale, low, high, first, last):
        count = last - first + 1
        if count == 1:
            return first
        reach = 5 << (scale >> 11) + 17
        location = min(max(location, low - reach), high + reach)
        before = logistic(low - location, scale)
        mass = logistic(high - location, scale) - before

        def c(i):
            if i in (0, count):
                return 2**24 * (i > 0)
            if mass == 0:
                return i * (2**24 // count)
            inside = min(max(logistic((first + i << 16) - location, scale) - before, 0), mass)
            return i + (2**24 - count) * inside // mass

        slot, low, high = self.x % 2**24, 0, count
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if slot >= c(middle) else (low, middle)
        self.pop(c(low), c(low + 1) - c(low))
        return first + low

    def offsets(self, n):
        """The offset of each of n coordinates."""
        halvings = 0
        while halvings < 6 and self.raw(1):
            halvings += 1
        bits = self.raw(3)
        places = [self.raw(bits) if bits else 0 for _ in range(1 << halvings)]
        length = -(-n // 64) * (64 >> halvings)
        return [int(f"{places[i // length]:07b}"[::-1], 2) for i in range(n)]


# ---- randomness ---------------------------------------------------------------------------------------------------


def philox(key, tile, n_bytes):
    """Bytes of Philox 4x64-10, the first block from a counter of 1."""
    out, mask = b"", 2**64 - 1
    for block in range(1, 2 + n_bytes // 32):
        c, k = [block, tile, 0, 0], list(key)
        for _ in range(10):
            p, q = c[0] * 0xD2E7470EE14C6C93, c[2] * 0xCA5A826395121157
            c = [q >> 64 ^ c[1] ^ k[0], q & mask, p >> 64 ^ c[3] ^ k[1], p & mask]
            k = [k[0] + 0x9E3779B97F4A7C15 & mask, k[1] + 0xBB67AE8584CAA73B & mask]
        out += b"".join(word.to_bytes(8, "little") for word in c)
    return out[:n_bytes]


def quantiles():
    upper = [round(4096 * NormalDist().inv_cdf((2 * i + 1) / 2**17)) for i in range(2**15, 2**16)]
    return [-value for value in reversed(upper)] + upper


# ---- model and steps ----------------------------------------------------------------------------------------------


def constants(schedule):
    """Of each step: z_weight, x_weight, width and alpha_s, rounded to float64."""
    with localcontext(Context(prec=60)):
        slope, top = abs(Decimal(repr(schedule.slope))), Decimal(repr(schedule.gamma_max))
        gammas = [top + slope * (Decimal(1 - i / schedule.n_steps) - 1) for i in range(schedule.n_steps + 1)]
        found = []
        for gamma_t, gamma_s in itertools.pairwise(gammas):
            sigma2_t, sigma2_s = (1 / (1 + (-gamma).exp()) for gamma in (gamma_t, gamma_s))
            alpha_t, alpha_s = (1 - sigma2_t).sqrt(), (1 - sigma2_s).sqrt()
            e = 1 - (gamma_s - gamma_t).exp()
            width = (12 * sigma2_s * e).sqrt()
            found.append([float(value) for value in (alpha_s * (1 - e) / alpha_t, alpha_s * e, width, alpha_s)])
    return found


class Decoder:
    """Decodes files of a model; ``pictures`` of steps 0 to T and the lossless one, uint8 [H, W, 3]."""

    def __init__(self, model):
        self.model, self.size = model, model.image_size
        self.n = 3 * self.size**2
        self.exact = copy.deepcopy(model.denoiser).double()
        self.steps = constants(model.schedule)
        self.units = [2.0**-12, *(width / 512 for _, _, width, _ in self.steps)]
        pairs = list(zip(self.steps, self.units, self.units[1:], strict=False))
        self.a = [round(Fraction(step[0]) * Fraction(unit) / Fraction(after) * 2**32) for step, unit, after in pairs]
        self.b = [round(Fraction(step[1]) / 256 / Fraction(after) * 2**32) for step, _, after in pairs]
        self.free = 2 * self.b[-1] >= 512 << 32
        self.quantiles = np.array(quantiles())
        self.sections = [self.coordinates(model.schedule.step(index)) for index in range(len(self.steps))]
        self.bounded = model.denoiser.bounded
        self.version = 2 if max(map(len, self.sections)) > 1 or self.bounded else 1

    def coordinates(self, step):
        """The coordinates of each section."""
        of = self.model.denoiser.section_of(step, 3, self.size, self.size).flatten().tolist()
        count = self.model.denoiser.n_sections(step)
        return [[i for i, section in enumerate(of) if section == number] for number in range(count)]

    def start(self, seed):
        """n(0) of a seed."""
        return self.quantiles[np.frombuffer(philox((seed, 0), 0, 2 * self.n), "<u2")].tolist()

    def z(self, index, n):
        """Latents that are known before a step, as the network takes them."""
        z = torch.from_numpy(np.array(n) * self.units[index]).float()
        return z.reshape(1, 3, self.size, self.size)

    def open(self, index, n_t):
        """What the network makes of a tile's latents: something for :meth:`predict`, and x_hat for pictures."""
        z_t = self.z(index, n_t).to(torch.float32 if index else torch.float64)
        with torch.inference_mode():
            opened = (self.model.denoiser if index else self.exact).begin(z_t, self.model.schedule.step(index))
        return (z_t, opened), opened.x_hat.double().clamp(-1, 1).flatten().tolist()

    def predict(self, index, opened, section, n_s):
        """mean in bins and log2 of the scale in bins, float64 [D], of which those of the section count."""
        denoiser, (z_t, found) = self.model.denoiser if index else self.exact, opened
        z_s = self.z(index + 1, n_s).to(z_t.dtype)
        with torch.inference_mode():
            found = denoiser.condition(found, z_t, z_s, section, self.model.schedule.step(index))
        x_hat, scale = (value.double().flatten().numpy() for value in (found.x_hat.clamp(-1, 1), found.scale))
        _, x_weight, width, _ = self.steps[index]
        return x_hat * (x_weight / width), np.log2(scale * (math.sqrt(3) / math.pi / width))

    def grid(self, stream):
        """Offsets of scales, fineness, and offsets of means of a tile's step, for places in the order of coding."""
        scales, fineness = stream.offsets(self.n), stream.raw(2)
        return scales, fineness, stream.offsets(self.n)

    def cell(self, grid, place, mean, scale):
        """Rounded mean (2^-16 bins) and scale (2^-11 octaves)."""
        scales, fineness, means = grid
        o, scale = scales[place], min(max(scale, -12 + 1 / 8), 8 - 1 / 2048 - 1 / 8)
        scale = (math.floor(scale * 8 + o / 128) * 128 - o + 64) << 1
        octave, o, mean = scale >> 11, means[place], min(max(mean, -(2.0**20)), 2.0**20)
        bits = fineness + (2 + -octave // 3 if octave < -1 else 2 - (2 * octave + 3) // 3)
        return (math.floor(mean * 2.0**bits + o / 128) * 128 - o + 64) << 9 - bits, scale

    def picture(self, stream, opened, windows):
        """Levels of version 2's picture of a step."""
        f, offsets = stream.raw(2), stream.offsets(self.n)
        middles = [
            128 * math.floor(2**f * (128 * (x + 1)) + o / 128) - o + 64 for x, o in zip(opened[1], offsets, strict=True)
        ]
        return self.clip([middle >> 7 + f for middle in middles], windows)

    def clip(self, levels, windows):
        limits = windows if self.bounded else [(0, 255)] * self.n
        return [min(max(v, p), q) for v, (p, q) in zip(levels, limits, strict=True)]

    def pictures(self, data):
        head, streams, checks, ends = parse(data)
        assert (head["magic"], head["version"]) == (b"UQ", self.version)
        assert head["model"] == bytes.fromhex(self.model.sha256)[:3]
        assert (head["tile"], head["n_stages"]) == (self.size, len(self.steps) + (not self.free))
        assert not head["double"]
        held = sum(end <= len(data) for end in ends[1:])
        tiles = [[] for _ in range(held + 1 + self.free * (held == head["n_stages"]))]
        for chunk, stream in enumerate(streams):
            positions = range(16 * chunk, min(16 * chunk + 16, head["n_tiles"]))
            for row, part in zip(tiles, self.chunk(head, Stream(stream), positions, checks[chunk], held), strict=True):
                row += part
        return [self.join(head, row) for row in tiles]

    def chunk(self, head, stream, positions, checks, held):
        """Levels of a chunk's tiles by picture."""
        seeds = [head["seed"] + (stream.raw(head["seed_bits"]) if head["seed_bits"] else 0) for _ in positions]
        n_t = [self.start(seed) for seed in seeds]
        opened = [self.open(0, n) for n in n_t]
        found = [[self.level(np.array(self.open(0, self.start(head["seed"]))[1]))] * len(n_t)]
        crc, n_steps, windows = 0, len(self.steps), [[(0, 255)] * self.n for _ in n_t]
        if self.version == 1:
            grids = [self.grid(stream) for _ in n_t]
        for index in range(min(held, n_steps)):
            if self.version == 2:
                grids = [self.grid(stream) for _ in n_t]
            js = [philox((seed, index + 1), position, self.n) for seed, position in zip(seeds, positions, strict=True)]
            n_s = [[0] * self.n for _ in n_t]
            place = 0
            for section, coordinates in enumerate(self.sections[index]):
                outputs = [self.predict(index, known, section, n) for (known, _), n in zip(opened, n_s, strict=True)]
                for tile in range(len(n_t)):
                    for at, i in enumerate(coordinates, place):
                        cell = self.cell(grids[tile], at, outputs[tile][0][i], outputs[tile][1][i])
                        known = n_t[tile][i], js[tile][i], windows[tile][i]
                        n_s[tile][i], windows[tile][i] = self.step(stream, index, *known, *cell)
                place += len(coordinates)
            n_t = n_s
            for n in n_t:
                crc = zlib.crc32(np.array(n, "<i4").tobytes(), crc)
            if index + 1 < n_steps:
                opened = [self.open(index + 1, n) for n in n_t]
                if self.version == 2:
                    found.append([self.picture(stream, *pair) for pair in zip(opened, windows, strict=True)])
                    for levels in found[-1]:
                        crc = zlib.crc32(bytes(levels), crc)
                else:
                    grids = [self.grid(stream) for _ in n_t]
                    _, x_weight, width, _ = self.steps[index + 1]
                    found.append([])
                    for grid, (known, _), n in zip(grids, opened, n_t, strict=True):
                        outputs = zip(*self.predict(index + 1, known, 0, n), strict=True)
                        means = [self.cell(grid, at, *output)[0] for at, output in enumerate(outputs)]
                        crc = zlib.crc32(np.array(means, "<i8").tobytes(), crc)
                        found[-1].append(self.level(np.array(means) * (width / x_weight / 65536)))
            else:
                nearest = [self.level(np.array(n) * (self.units[-1] / self.steps[-1][3])) for n in n_t]
                found.append([self.clip(*pair) for pair in zip(nearest, windows, strict=True)])
            assert index == len(checks) or crc & 0xFFFF == checks[index]
        if held == head["n_stages"]:
            found.append([[p + stream.choice(1 if self.free else q - p + 1) for p, q in window] for window in windows])
            for levels in found[-1]:
                crc = zlib.crc32(bytes(levels), crc)
            assert (stream.x - 2**32, stream.n) == (crc, len(stream.words))
        return found

    def step(self, stream, index, n, dither, window, mean, scale):
        """A coordinate's latent after a step, and the first and last level that are left."""
        a, b, (p, q) = self.a[index], self.b[index], window
        location = (a * n >> 25) + (2 * dither + 1 << 7) + mean
        if self.bounded:
            at = a * n + (2 * dither + 1 << 32)
            ends = at + b * (2 * p - 256) >> 25, at + b * (2 * q - 254) >> 25
            k = stream.bounded(location, scale, *ends, at + b * (2 * p - 255) >> 41, at + b * (2 * q - 255) >> 41)
        else:
            k = stream.symbol(location, scale)
        low = (512 * k - (2 * dither + 1) << 32) - a * n
        first = min(max(-(-(low + 255 * b) // (2 * b)), 0), 255)
        past = min(max(-(-(low + (512 << 32) + 255 * b) // (2 * b)), 1), 256)
        last = first + max(past - first, 1) - 1
        if self.bounded:
            first = max(p, first)
            last = max(min(q, last), first)
        return 512 * k - (2 * dither + 1) + 256, (first, last)

    def level(self, x):
        return np.clip(np.floor((x + 1) * 128), 0, 255).astype(int).tolist()

    def join(self, head, tiles):
        size, across = self.size, -(-head["width"] // self.size)
        out = np.zeros((-(-len(tiles) // across) * size, across * size, 3), np.uint8)
        for position, levels in enumerate(tiles):
            top, left = position // across * size, position % across * size
            out[top : top + size, left : left + size] = np.reshape(levels, (3, size, size)).transpose(1, 2, 0)
        return out[: head["height"], : head["width"]]


# ---- tests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "file"), [(GOLDEN_MODEL, GOLDEN), ("uqdm-pixel", GOLDEN_PIXEL)])
def test_stored_files_decode_to_the_projects_pictures(model, file):
    model, data = load_named(model), file.read_bytes()
    from uqdm.progressive import UQDM  # what is compared with

    expected = [picture.image_uint8 for picture in UQDM(model).pictures(data)]
    found = Decoder(model).pictures(data)
    assert len(found) == 6
    assert all((a == b).all() for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("slope", [FREE_SLOPE, CODED_SLOPE])
def test_small_files_decode_to_the_projects_pictures_also_when_cut(slope, tmp_path, photographs_uint8):
    compare_small_files(small_codec(tmp_path / "small", slope), photographs_uint8[0])


@pytest.mark.parametrize(
    ("slope", "n_sections", "bounded"),
    [
        (FREE_SLOPE, (1, 3, 4, 2), False),
        (CODED_SLOPE, (2, 1, 5, 1), False),
        (FREE_SLOPE, (1, 1, 1, 1), True),
        (CODED_SLOPE, (2, 3, 1, 4), True),
    ],
)
def test_small_files_of_version_2_decode_to_the_projects_pictures_also_when_cut(
    slope, n_sections, bounded, photographs_uint8
):
    compare_small_files(small_sections_codec(slope, n_sections, bounded=bounded), photographs_uint8[1])


def compare_small_files(codec, photograph):
    decoder = Decoder(codec.model)
    for size, options in itertools.product([(8, 8), (9, 20), (33, 35)], [{}, {"seed": 70_000, "seeds": 8}]):
        image = photograph[: size[0], : size[1]]  # 1, 6 and 25 tiles
        (data,) = codec.compress([image], **options)
        expected = [picture.image_uint8 for picture in codec.pictures(data)]
        found = decoder.pictures(data)
        assert all((a == b).all() for a, b in zip(found, expected, strict=True))
        assert (found[-1] == image).all()
        if size != (33, 35):
            cut = decoder.pictures(data[: parse(data)[3][2] + 1])
            assert all((a == b).all() for a, b in zip(cut, expected[:3], strict=True))


def test_symbols_far_from_their_expected_place_round_trip():
    from uqdm.coding.ans import Writer  # a writer makes what no image does

    rng = np.random.default_rng(0)
    symbols = np.concatenate([rng.integers(-(2**31), 2**31, 300), rng.integers(-400, 400, 300)])
    locations, scales = rng.integers(-(2**20), 2**20, 600), rng.integers(-12 * 2048, 8 * 2048, 600)
    counts = rng.integers(1, 257, 600)
    values = rng.integers(0, counts)
    writer = Writer()
    writer.symbols(symbols, locations, scales)
    writer.choices(values, counts)
    stream = Stream(writer.finish(check=77)[0])
    assert [stream.symbol(*pair) for pair in zip(locations.tolist(), scales.tolist(), strict=True)] == symbols.tolist()
    assert [stream.choice(count) for count in counts.tolist()] == values.tolist()
    assert (stream.x, stream.n) == (2**32 + 77, len(stream.words))


def test_digests_on_the_page_are_those_of_the_tables():
    page = PAGE.read_text()
    tables = {"S": np.array(S, "<i8"), "P": np.array(P, "<i8"), "Q": np.array(quantiles(), "<i4")}
    for name, table in tables.items():
        assert f"`{name}` | {hashlib.sha256(table.tobytes()).hexdigest()}" in page


def test_the_example_on_the_page_is_the_stored_file():
    (example,) = re.findall(r"^```text\n([0-9a-f \n]+)```$", PAGE.read_text(), re.MULTILINE)
    data = GOLDEN.read_bytes()
    head, _, _, ends = parse(data)
    assert bytes.fromhex(example) == data[: ends[0]]
    assert (head["width"], head["height"], ends[-1]) == (64, 64, len(data))


def test_the_example_of_version_3_on_the_page_is_what_it_says():
    (example,) = re.findall(r"`(55 51 03 [0-9a-f ]+)`", PAGE.read_text())
    data = bytes.fromhex(example)
    head, stages, ends = parse_staged(data)
    assert head == {
        "model": b"\x50\xee\x11", "tile": 16, "n_stages": 2, "seed": 1, "width": 9, "height": 200, "n_tiles": 13
    }  # fmt: skip
    assert (stages, ends) == ([[b"one"], [b"three"]], [12, 16, 22])


def test_containers_of_version_3_are_as_the_page_says():
    from uqdm.coding.container import Header, pack_stages, parse

    header = Header(b"abc", width=300, height=9, tile_size=8, n_stages=3, seed=70_000, version=3)
    segments = [[bytes([chunk]) * (n + chunk) for n in (3, 200, 13_000)] for chunk in range(5)]
    data = pack_stages(header, segments)
    head, stages, ends = parse_staged(data)
    assert [list(chunk) for chunk in zip(*stages, strict=True)] == segments
    assert (head["width"], head["height"], head["seed"], head["n_tiles"]) == (300, 9, 70_000, 76)
    assert ends == [parse(data).stage_end(stage) for stage in range(4)]
