"""Finds the quality layers in a JPEG 2000 codestream by reading its packet headers (ITU-T T.800, Annexes A and B).

Only files of this package's encoder are supported: three components, one tile in one tile-part, at most six layers
and five decompositions, progression by layer, whole precincts, code-blocks of 64 x 64, no bypass, termination or
marker inside packets. Anything else raises :class:`~uqdm.codec.StreamError`, so a hostile header costs no time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from uqdm.codec import StreamError
from uqdm_baselines._pillow import check_size

_COMPONENTS, _MAX_LAYERS, _MAX_LEVELS = 3, 6, 5
_BLOCK = 64  # samples, height and width of a code-block
_SOC, _SIZ, _COD, _SOT, _SOD = 0xFF4F, 0xFF51, 0xFF52, 0xFF90, 0xFF93
_MAX_LENGTH_BITS = 32  # of a code-block's part of a packet; more means damage


class EndOfDataError(Exception):
    """The data ends inside a packet."""


@dataclass(frozen=True)
class Header:
    """Content of the main header, and the positions of its parts in bytes from the start of the file."""

    codestream: int  # position of SOC
    layers_at: int  # position of the number of layers, two bytes
    tile_part_at: int  # position of the SOT marker
    data: int  # position of the first packet
    height: int
    width: int
    layers: int
    levels: int  # of the wavelet decomposition


def read_header(stream: bytes) -> Header:
    """Reads boxes, main header and tile-part header; raises StreamError for files other than described above."""
    codestream = _find_codestream(stream)
    if _u16(stream, codestream) != _SOC or _u16(stream, codestream + 2) != _SIZ:
        raise StreamError("no JPEG 2000 codestream")
    position, siz, cod = codestream + 2, codestream + 4, None
    while (marker := _u16(stream, position)) != _SOT:
        if marker == _COD:
            cod = position + 2
        position += 2 + _u16(stream, position + 2)
    if cod is None:
        raise StreamError("its main header has no coding style")
    tile_part, position = position, position + 2 + _u16(stream, position + 2)
    while (marker := _u16(stream, position)) != _SOD:
        position += 2 + _u16(stream, position + 2)
    _check_supported(stream, siz, cod, tile_part)
    return Header(
        codestream,
        layers_at=cod + 4,
        tile_part_at=tile_part,
        data=position + 2,
        height=_u32(stream, siz + 8),
        width=_u32(stream, siz + 4),
        layers=_u16(stream, cod + 4),
        levels=stream[cod + 7],
    )


def _check_supported(stream: bytes, siz: int, cod: int, tile_part: int) -> None:
    """Raises StreamError unless this module supports the layout of the file."""
    width, height = _u32(stream, siz + 4), _u32(stream, siz + 8)
    offsets = [_u32(stream, siz + start) for start in (12, 16, 28, 32)]
    samplings = {stream[siz + 38 + 3 * c + 1 + axis] for c in range(_COMPONENTS) for axis in (0, 1)}
    is_one_tile = _u32(stream, siz + 20) >= width and _u32(stream, siz + 24) >= height
    is_one_part = _u16(stream, tile_part + 4) == 0 and stream[tile_part + 10] == 0
    if _u16(stream, siz + 36) != _COMPONENTS or any(offsets) or samplings != {1} or not (is_one_tile and is_one_part):
        raise StreamError("it has offsets, subsampled or other components, or several tiles")
    check_size(height, width)
    if not 0 < width <= 1 << 15 or not 0 < height <= 1 << 15:
        raise StreamError(f"its header asks for {height} x {width} pixels, which is none, or more than one precinct")
    if (stream[cod + 2], stream[cod + 3], *stream[cod + 8 : cod + 11]) != (0, 0, 4, 4, 0):  # 4: 2 ** (4 + 2) samples
        raise StreamError("its coding style is not supported here")
    if not 0 < _u16(stream, cod + 4) <= _MAX_LAYERS or stream[cod + 7] > _MAX_LEVELS:
        raise StreamError(f"it has more than {_MAX_LAYERS} layers or {_MAX_LEVELS} decompositions")


def _find_codestream(stream: bytes) -> int:
    """Start of the codestream: that of the file, or in the box ``jp2c`` (T.800, I.4)."""
    position = 0
    if stream.startswith(b"\xff\x4f"):
        return 0
    while stream[position + 4 : position + 8] != b"jp2c":
        length = _u32(stream, position)
        if length < 8:
            raise StreamError("no codestream in its boxes")
        position += length
    return position + 8


@dataclass
class TagTree:
    """A tag tree (T.800, B.10.2): for each leaf a number, coded together with those of its neighbours."""

    height: int
    width: int
    values: list[dict[tuple[int, int], tuple[int, bool]]] = field(default_factory=list)

    def reaches(self, bits: BitReader, row: int, column: int, threshold: int) -> bool:
        """True if the number of that leaf is below ``threshold``; reads the bits for it if needed."""
        depth = max(self.height - 1, self.width - 1).bit_length()
        if not self.values:
            self.values = [{} for _ in range(depth + 1)]
        low, known = 0, False
        for level in range(depth, -1, -1):
            nodes, place = self.values[level], (row >> level, column >> level)
            seen, known = nodes.get(place, (0, False))
            low = max(low, seen)
            while low < threshold and not known:
                known = bits.read_bit() == 1
                low += not known
            nodes[place] = (low, known)
        return known and low < threshold

    def left_out_at(self, row: int, column: int, threshold: int) -> int:
        """The highest level at which a node above that leaf is known not to be below ``threshold``; 0 if none is."""
        for level in range(len(self.values) - 1, 0, -1):
            low, known = self.values[level].get((row >> level, column >> level), (0, False))
            if low >= threshold and not known:
                return level
        return 0


class BitReader:
    """Bits of a packet header, without the bit that follows each byte of ones (T.800, B.10.1)."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data, self._next, self._byte, self._left = data, position, 0, 0

    def read_bit(self) -> int:
        """The next bit; raises :class:`EndOfDataError`."""
        if not self._left:
            if self._next >= len(self._data):
                raise EndOfDataError
            self._left = 7 if self._byte == 0xFF else 8
            self._byte = self._data[self._next]
            self._next += 1
        self._left -= 1
        return self._byte >> self._left & 1

    def read(self, count: int) -> int:
        """The next bits as a number, highest first."""
        value = 0
        for _ in range(count):
            value = value << 1 | self.read_bit()
        return value

    def end(self) -> int:
        """Position of the first byte after the header."""
        return self._next + (self._byte == 0xFF)


@dataclass
class Band:
    """The code-blocks of one subband, with their state from earlier packets."""

    rows: int
    columns: int
    inclusion: TagTree = field(init=False)
    bit_planes: TagTree = field(init=False)
    length_bits: dict[tuple[int, int], int] = field(default_factory=dict)  # of the blocks included so far

    def __post_init__(self) -> None:
        self.inclusion, self.bit_planes = TagTree(self.rows, self.columns), TagTree(self.rows, self.columns)

    def read_header(self, bits: BitReader, layer: int) -> int:
        """Reads this band's part of a packet header; returns the bytes of its body (T.800, B.10.3 to B.10.7)."""
        total = 0
        for row in range(self.rows):
            column = 0
            while column < self.columns:
                total += self._read_block(bits, layer, (row, column))
                # Nothing is read for blocks that a node above excludes: a header of few bits may have millions.
                level = self.inclusion.left_out_at(row, column, layer + 1)
                column = ((column >> level) + 1) << level
        return total

    def _read_block(self, bits: BitReader, layer: int, place: tuple[int, int]) -> int:
        if place in self.length_bits:
            if not bits.read_bit():
                return 0
        elif not self.inclusion.reaches(bits, *place, layer + 1):
            return 0
        else:
            planes = 1
            while not self.bit_planes.reaches(bits, *place, planes):
                planes += 1
            self.length_bits[place] = 3
        passes = _read_passes(bits)
        while bits.read_bit():
            self.length_bits[place] += 1
        length_bits = self.length_bits[place] + passes.bit_length() - 1
        if length_bits > _MAX_LENGTH_BITS:
            raise StreamError("a packet header is damaged")
        return bits.read(length_bits)


def _read_passes(bits: BitReader) -> int:
    """Number of coding passes (T.800, table B.4)."""
    passes = 1
    for width in (1, 1, 2, 5, 7):
        value = bits.read(width)
        passes += value
        if value != (1 << width) - 1:
            break
    return passes


def _bands(header: Header) -> list[list[Band]]:
    """The subbands of each resolution of one component, without those that are empty (T.800, B.5 to B.7)."""
    resolutions = []
    for resolution in range(header.levels + 1):
        level = header.levels - max(resolution - 1, 0)
        quarters = [(0, 0)] if resolution == 0 else [(0, 1), (1, 0), (1, 1)]  # LL; HL, LH, HH as (down, right)
        sides = [(_samples(header.height, level, d), _samples(header.width, level, r)) for d, r in quarters]
        resolutions.append([Band(-(-height // _BLOCK), -(-width // _BLOCK)) for height, width in sides])
    return [[band for band in bands if band.rows > 0 and band.columns > 0] for bands in resolutions]


def _samples(side: int, level: int, high: int) -> int:
    """Samples of a subband along one side (T.800, equation B-15, without offsets)."""
    shift = (1 << level - 1) * high if level else 0
    return -(-(side - shift) // (1 << level))


def packet_ends(stream: bytes, header: Header) -> list[int]:
    """End of each complete packet, in bytes from the start; order: layer, resolution, component."""
    components = [_bands(header) for _ in range(_COMPONENTS)]
    position, ends = header.data, list[int]()
    for layer in range(header.layers):
        for resolution in range(header.levels + 1):
            for bands in components:
                try:
                    position = _packet_end(stream, position, bands[resolution], layer)
                except EndOfDataError:
                    return ends
                if position > len(stream):
                    return ends
                ends.append(position)
    return ends


def _packet_end(stream: bytes, position: int, bands: list[Band], layer: int) -> int:
    bits = BitReader(stream, position)
    body = sum(band.read_header(bits, layer) for band in bands) if bits.read_bit() else 0
    return bits.end() + body


def layer_ends(stream: bytes, header: Header) -> list[int]:
    """End of each complete quality layer, in bytes from the start."""
    step = (header.levels + 1) * _COMPONENTS
    return packet_ends(stream, header)[step - 1 :: step]


def _u16(data: bytes, position: int) -> int:
    return int.from_bytes(_take(data, position, 2), "big")


def _u32(data: bytes, position: int) -> int:
    return int.from_bytes(_take(data, position, 4), "big")


def _take(data: bytes, position: int, count: int) -> bytes:
    if position + count > len(data):
        raise StreamError(f"its header is cut short ({len(data)} bytes)")
    return data[position : position + count]
