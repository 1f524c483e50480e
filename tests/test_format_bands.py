"""A decoder of version 3 that was written from docs/format.md alone gives the same pictures as the project's own.

As in ``test_format_doc.py``, whose reader of streams it shares, only the networks are the project's.
"""

from __future__ import annotations

import copy
import functools
import math
import zlib

import numpy as np
import pytest
import torch
from small_bands import GOLDEN_FILE, GOLDEN_MODEL, NOISE, banded_model, constant_model
from test_format_doc import Stream, parse_staged, philox

from uqdm.banded.model import load
from uqdm.banded.network import BandState

pytestmark = pytest.mark.slow

SECTIONS = [(0, 8), (0, 8), (8, 32), (32, 64), (64, 128), (128, 192)]
LATE = [(channel, y, x) for y, x in [(0, 0), (1, 1), (0, 1), (1, 0)] for channel in (1, 0, 2)]


class ShortStream(Stream):
    def __init__(self, data):
        n = len(data) if len(data) <= 6 else 6 - len(data) % 2
        self.x, self.n = int.from_bytes(data[:n], "big"), 0
        self.words = np.frombuffer(data, ">u2", (len(data) - n) // 2, n).tolist()
        assert data[0]
        assert self.x >= 2**16

    def pop(self, first, frequency):
        self.x = frequency * (self.x >> 24) + self.x % 2**24 - first
        while self.x < 2**32 and self.n < len(self.words):
            self.x = self.x << 16 | self.words[self.n]
            self.n += 1
        assert self.x >= 2**16

    def shift(self):
        return self.raw(4) + 1 if self.raw(1) else 0

    def check(self):
        assert self.n == len(self.words)
        assert 2**16 <= self.x < 2**17
        return self.x - 2**16


@functools.cache
def functions():
    """The 192 functions of a block."""
    colours = np.array([[1, 1, 1], [1, 0, -1], [1 / 2, -1, 1 / 2]])
    colours = colours / np.sqrt([[3], [2], [3 / 2]])
    order = sorted((i + j + 4.5 * (c > 0), c, i, j) for c in range(3) for i in range(8) for j in range(8))
    y = np.arange(8)
    d = [np.cos(np.pi * k * (2 * y + 1) / 16) / 2 / (1 if k else math.sqrt(2)) for k in range(8)]
    return np.array([[[[a * b * u for b in d[j]] for a in d[i]] for u in colours[c]] for _, c, i, j in order])


def coefficients(pixels):
    n = pixels.shape[1] // 8
    return np.einsum("fcyx,crysx->frs", functions(), pixels.reshape(3, n, 8, n, 8))


def pixels_of(coefficients):
    n = coefficients.shape[1]
    return np.einsum("fcyx,frs->crysx", functions(), coefficients).reshape(3, 8 * n, 8 * n)


def nan_clip(value, low, high):
    return min(max(0.0 if math.isnan(value) else value, low), high)


def mean_cell(m, g):
    return 1024 * math.floor(64 * nan_clip(m, -(2**20) - 1 / 128, 2**20 + 1 / 128) + g / 64) + 512 - 16 * g


def scale_cell(a, g):
    """A and c0."""
    cell = math.floor(8 * nan_clip(a, -16 + 1 / 16, 12 - 1 / 16) + g / 64)
    return cell, 256 * cell + 128 - 4 * g


def clip_scale(c):
    return min(max(c, -24_576), 16_383)


def levels(x_hat, g):
    return np.floor(np.clip(x_hat + 128, 0.5, 255.5) + g / 64).astype(int)


class Tile:
    """What is known of a tile; arrays are [192, n, n] or [3, S, S]."""

    def __init__(self, decoder, seed, position):
        self.decoder, self.seed, self.position = decoder, seed, position
        self.z, self.last = np.zeros((192, decoder.n, decoder.n)), np.zeros((192, decoder.n, decoder.n), int)
        self.open(0)

    def dither(self, step, shape):
        return np.frombuffer(philox((self.seed, step), self.position, self.z.size), np.uint8).astype(int).reshape(shape)

    def open(self, n_done):
        state = BandState(torch.from_numpy(self.z)[None], torch.from_numpy(self.last)[None])
        self.opened = self.decoder.networks.bands.open(n_done, state)
        self.x_hat, self.spread = self.opened.picture[0].numpy(), self.opened.spread[0].numpy()

    def picture(self, g):
        return levels(self.x_hat, g)

    # ---- band steps

    def begin_band_step(self, step):
        self.j = self.dither(step, self.z.shape)
        self.centre = coefficients(self.x_hat.clip(-128, 128))
        self.new_z, self.new_last, self.r = self.z.copy(), self.last.copy(), np.zeros_like(self.z)

    def band_section(self, stream, step, number, g):
        """Symbols of a section."""
        first, past = SECTIONS[number]
        seen = {0: 0, 1: 8}.get(number, first)
        known = torch.from_numpy(self.r[None, :seen].copy())
        outputs = self.decoder.networks.bands.section(number, step - 1, self.opened, known)
        mu, log_deviation = (out[0].numpy() for out in outputs)
        symbols = []
        for at in np.ndindex(past - first, self.decoder.n, self.decoder.n):
            place = (at[0] + first, *at[1:])
            if number > 1 or (at[1] + at[2]) % 2 == number:
                symbols += self.coordinate(stream, step, place, mu[at], log_deviation[at], g)
        return symbols

    def coordinate(self, stream, step, place, mu, log_deviation, g):
        sigma, z, last, j = self.decoder.sigma[step], self.z[place], self.last[place], int(self.j[place])
        spread, centre = self.spread[place], self.centre[place]
        cell, c0 = scale_cell(math.log2(spread) + log_deviation / math.log(2) - math.log2(sigma), g)
        if cell < 2:
            return []
        e = 1 - (sigma / self.decoder.sigma[last]) ** 2 if last else 1.0
        width = math.sqrt(12) * sigma * math.sqrt(e)
        m = (1 - e) * z / width + e * (centre + spread * mu) / width
        c = clip_scale(c0 + round(2048 * math.log2(e * math.sqrt(3) * sigma / (math.pi * width))))
        k = stream.symbol(mean_cell(m, g) + 128 * (2 * j + 1), c)
        assert abs(k) <= 2**20
        new = (k + 1 / 2 - (2 * j + 1) / 512) * width
        self.new_z[place], self.new_last[place] = new, step
        self.r[place] = ((new - (1 - e) * z) / e - centre) / math.sqrt(spread**2 + (width / e) ** 2 / 12)
        return [k]

    def end_band_step(self, step):
        self.z, self.last = self.new_z, self.new_last
        self.open(step)

    # ---- late steps

    def begin_pixel_step(self, step):
        self.d = self.dither(step, self.x_hat.shape) * self.decoder.w >> 8
        self.x_hat = self.x_hat.clip(-128, 128)
        difference = np.where(self.last > 0, self.z - coefficients(self.x_hat), 0)
        self.inputs = [self.x_hat[None], pixels_of(difference)[None] / self.decoder.sigma[-1]]
        self.inputs = [torch.from_numpy(values) for values in self.inputs]
        self.opened = self.decoder.networks.open_pixel_step(*self.inputs)
        self.p, self.q = np.zeros_like(self.d), np.full_like(self.d, 255)
        self.begin_late(8.0, self.decoder.w)

    def end_pixel_step(self):
        w = self.decoder.w
        middle = torch.from_numpy(self.values)[None]
        self.opened = self.decoder.networks.open_last_stage(*self.inputs, middle)
        self.x_hat = self.opened.x_hat[0].numpy()
        self.p, self.q = np.maximum(w * self.k - self.d, 0), np.minimum(w * self.k - self.d + w - 1, 255)
        self.d = np.zeros_like(self.d)

    def begin_late(self, unit, w):
        self.k, self.values, self.unit, self.w = np.zeros_like(self.d), np.zeros(self.d.shape), unit, w

    def late_section(self, stream, network, number, g):
        residuals = network.residuals(torch.from_numpy(self.values)[None], self.opened)
        mu, log_deviation = (out[0, 0].numpy() for out in network.section(number, self.opened, residuals))
        channel, y, x = LATE[number]
        w, symbols = self.w, []
        for at in np.ndindex(mu.shape):
            place = (channel, 2 * at[0] + y, 2 * at[1] + x)
            d, p, q = (int(values[place]) for values in (self.d, self.p, self.q))
            a = math.log2(self.unit * math.sqrt(3) / (math.pi * w)) + log_deviation[at] / math.log(2)
            location = mean_cell((self.x_hat[place] + self.unit * mu[at] + 128 + d) / w, g)
            ends = (p + d << 16) // w, (q + 1 + d << 16) // w, (p + d) // w, (q + d) // w
            k = stream.bounded(location, clip_scale(scale_cell(a, g)[1]), *ends)
            self.k[place], self.values[place] = k, w * k - d + (w - 1) / 2 - 127.5
            symbols.append(k)
        return symbols


class BandDecoder:
    """Decodes files of a model; ``pictures`` of steps 0 to K + 1 and the lossless one, uint8 [H, W, 3]."""

    def __init__(self, model):
        self.model, self.size, self.n = model, model.image_size, model.image_size // 8
        self.networks = copy.deepcopy(model.networks).double()
        self.sigma = [math.inf, *model.config["banded"]["sigmas"]]
        self.w = model.config["banded"]["pixel_width"]

    @torch.inference_mode()
    def pictures(self, data):
        head, stages, ends = parse_staged(data)
        assert head["model"] == bytes.fromhex(self.model.sha256)[:3]
        assert (head["tile"], head["n_stages"]) == (self.size, len(self.sigma) + 1)
        held = sum(end <= len(data) for end in ends[1:])
        tiles = [[] for _ in range(held + 1)]
        for number in range(-(-head["n_tiles"] // 16)):
            positions = range(16 * number, min(16 * number + 16, head["n_tiles"]))
            crc = zlib.crc32(number.to_bytes(4, "big"), zlib.crc32(data[: ends[0]]))
            segments = [stage[number] for stage in stages[:held]]
            for row, part in zip(tiles, self.chunk(head, positions, segments, crc), strict=True):
                row += part
        return [self.join(head, row) for row in tiles]

    def chunk(self, head, positions, segments, crc):
        """Levels of a chunk's tiles by picture."""
        tiles = [Tile(self, head["seed"], position) for position in positions]
        found = [[tile.picture(0) for tile in tiles]]
        n_bands = len(self.sigma) - 1
        for step, segment in enumerate(segments, 1):
            stream = ShortStream(segment)
            g, symbols = stream.shift(), [[] for _ in tiles]
            for tile in tiles:
                self.begin(tile, step)
            for section in range(6 if step <= n_bands else 12):
                for tile, own in zip(tiles, symbols, strict=True):
                    if step <= n_bands:
                        own += tile.band_section(stream, step, section, g)
                    else:
                        own += tile.late_section(stream, self.networks.late[step - n_bands - 1], section, g)
            found.append([self.end(tile, step, g) for tile in tiles])
            for own, picture in zip(symbols, found[-1], strict=True):
                crc = zlib.crc32(np.array(own, "<i4").tobytes(), crc)
                if step < n_bands + 2:
                    crc = zlib.crc32(picture.astype(np.uint8).tobytes(), crc)
            assert stream.check() == crc & 0xFFFF
        return found

    def begin(self, tile, step):
        if step < len(self.sigma):
            tile.begin_band_step(step)
        elif step == len(self.sigma):
            tile.begin_pixel_step(step)
        else:
            tile.begin_late(2.0, 1)

    def end(self, tile, step, g):
        """The tile's picture."""
        if step < len(self.sigma):
            tile.end_band_step(step)
        elif step == len(self.sigma):
            tile.end_pixel_step()
            return tile.picture(g).clip(tile.p, tile.q)
        else:
            return tile.k
        return tile.picture(g)

    def join(self, head, tiles):
        size, across = self.size, -(-head["width"] // self.size)
        out = np.zeros((-(-len(tiles) // across) * size, across * size, 3), np.uint8)
        for position, picture in enumerate(tiles):
            top, left = position // across * size, position % across * size
            out[top : top + size, left : left + size] = picture.transpose(1, 2, 0)
        return out[: head["height"], : head["width"]]


# ---- tests --------------------------------------------------------------------------------------------------------


def same(found, expected):
    return len(found) == len(expected) and all((a == b).all() for a, b in zip(found, expected, strict=True))


def check_files(model, images, cut_at=None):
    from uqdm.progressive.banded.compressor import BandedUQDM  # what is compared with

    codec, decoder = BandedUQDM(model), BandDecoder(model)
    for seed, image in images:
        (data,) = codec.compress([image], seed=seed)
        assert data[2] == 3
        expected = [picture.image_uint8 for picture in codec.pictures(data)]
        found = decoder.pictures(data)
        assert same(found, expected)
        assert (found[-1] == image).all()
        if cut_at is not None:
            assert same(decoder.pictures(data[: parse_staged(data)[2][cut_at] + 1]), expected[: cut_at + 1])


def test_small_files_of_version_3_decode_to_the_projects_pictures_also_when_cut(photographs_uint8):
    photograph = photographs_uint8[0]
    check_files(banded_model(noise=NOISE), [(0, photograph[:16, :16]), (70_000, photograph[20:33, :20])], cut_at=2)


def test_files_of_several_chunks_and_of_other_numbers_of_steps(photographs_uint8):
    photograph = np.tile(photographs_uint8[1][:8], (1, 5, 1))
    model = banded_model(noise=NOISE, sigmas=(30.0,), pixel_width=128)
    check_files(model, [(5, photograph[:3, : 16 * 17 - 5])])
    model = banded_model(32, noise=NOISE, sigmas=(500.0, 3.0, 2.9, 0.5), pixel_width=2)
    check_files(model, [(1, photograph[:5, :20])])


def test_files_with_shifted_cells(photographs_uint8):
    check_files(constant_model(), [(0, photographs_uint8[2][:16, :20])])


def test_a_stored_file_of_version_3_decodes_to_the_projects_pictures():
    from uqdm.progressive.banded.compressor import BandedUQDM

    model, data = load(GOLDEN_MODEL), GOLDEN_FILE.read_bytes()
    assert same(
        BandDecoder(model).pictures(data), [picture.image_uint8 for picture in BandedUQDM(model).pictures(data)]
    )
