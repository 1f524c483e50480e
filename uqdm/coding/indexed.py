"""Files of versions 1 and 2: an index of all segments after the header, and one stream for each chunk.

The stream of a chunk is cut at the ends of its stages.
"""

from __future__ import annotations

import binascii
import itertools

from uqdm.codec import StreamError
from uqdm.coding.layout import (
    HAS_SEED,
    HEADER_CHECK_BYTES,
    MAGIC,
    MAX_EPS,
    MODEL_ID_BYTES,
    SEED_BITS_MASK,
    Header,
    Layout,
    Source,
    Stage,
    pack_fields,
    pack_number,
    parse_fields,
)

VERSIONS = (1, 2)
"""2: the coordinates of a step are coded in sections, and the images of steps are rounded separately."""
_DOUBLE, _SEED_BITS_SHIFT = 1, 1  # of the flags


def pack(header: Header, streams: list[bytes], marks: list[list[int]], checks: list[list[int]]) -> bytes:
    """The bytes of a file from the chunks' streams.

    ``marks`` are, by chunk, the sizes of the stream up to the end of each stage but the last, in bytes; ``checks`` the
    check values (16 bits) of the same stages. Raises ValueError for a header with an invalid value.
    """
    if not header.has_index:
        raise ValueError(f"files of version {header.version} have no index: use pack_stages")
    header.check()
    segments = [_split(stream, ends) for stream, ends in zip(streams, marks, strict=True)]
    index = bytearray()
    for parts, values in zip(segments, checks, strict=True):
        for part, value in itertools.zip_longest(parts, values):
            index += pack_number(len(part) // 2)
            if value is not None:
                index += value.to_bytes(2, "big")
    head = _pack_header(header)
    head += binascii.crc_hqx(head + index, 0xFFFF).to_bytes(2, "big") + index
    return head + b"".join(parts[stage] for stage in range(header.n_stages) for parts in segments)


def _split(stream: bytes, ends: list[int]) -> list[bytes]:
    bounds = [0, *ends, len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(bounds)]


def _pack_header(header: Header) -> bytes:
    layout, flags, size = pack_fields(header)
    flags |= _DOUBLE * header.double | header.seed_bits << _SEED_BITS_SHIFT
    eps = _eps_code(header.mean_eps_bins) << 4 | _eps_code(header.scale_eps_octaves)
    return MAGIC + bytes([header.version]) + header.model_id + bytes([flags, layout, eps]) + size


def read(source: Source, version: int) -> Layout:
    """Header and index after the byte of the version; see :func:`uqdm.coding.container.read_layout`."""
    header = _parse_header(source, version)
    head = bytes(source.taken)
    crc = source.take(HEADER_CHECK_BYTES, "header check")
    index_begin = source.position
    entries = _parse_index(source, header)
    index = bytes(source.taken[index_begin:])
    if binascii.crc_hqx(head + index, 0xFFFF).to_bytes(2, "big") != crc:
        raise StreamError("header or index is damaged: their check value differs")
    return Layout(header, _locate(entries, source.position, header), index_begin, len(index), source.position)


def _parse_header(source: Source, version: int) -> Header:
    model_id = source.take(MODEL_ID_BYTES, "model id")
    flags, layout, eps = source.take(3, "flags")
    if flags >= 2 * HAS_SEED:
        raise StreamError(f"flags {flags:#04x} are unknown to this version")
    header = Header(
        model_id=model_id,
        **parse_fields(source, layout, flags),
        seed_bits=(flags >> _SEED_BITS_SHIFT) & SEED_BITS_MASK,
        double=bool(flags & _DOUBLE),
        mean_eps_bins=_eps(eps >> 4),
        scale_eps_octaves=_eps(eps & 15),
        version=version,
    )
    for fault in header.faults():
        raise StreamError(fault)
    return header


def _parse_index(source: Source, header: Header) -> list[list[tuple[int, int | None]]]:
    # Every entry takes at least a byte, so that a header cannot state more chunks than the file has bytes.
    return [[_parse_entry(source, stage, header) for stage in range(header.n_stages)] for _ in range(header.n_chunks)]


def _parse_entry(source: Source, stage: int, header: Header) -> tuple[int, int | None]:
    """Size of a segment in bytes, and its check value."""
    n_bytes = 2 * source.number("index")
    if stage == 0 and n_bytes == 0:  # refused before an image of the stated size is allocated
        raise StreamError("step 1 of the file is damaged: 0 bytes are no stream")
    is_last = stage == header.n_stages - 1
    return n_bytes, None if is_last else int.from_bytes(source.take(2, "index"), "big")


def _locate(entries: list[list[tuple[int, int | None]]], begin: int, header: Header) -> list[list[Stage]]:
    stages: list[list[Stage]] = [[] for _ in entries]
    for stage in range(header.n_stages):
        for chunk, lengths in enumerate(entries):
            n_bytes, check = lengths[stage]
            stages[chunk].append(Stage(begin, begin + n_bytes, check))
            begin += n_bytes
    return stages


def _eps_code(eps: float) -> int:
    """The largest code whose value is not below ``eps``."""
    code = 0
    while code < 15 and _eps(code + 1) >= eps:
        code += 1
    return code


def _eps(code: int) -> float:
    return MAX_EPS * 4.0**-code
