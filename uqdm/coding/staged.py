"""Files of version 3: each stage begins with the lengths of its segments, one short stream for each chunk.

The header has no check value, since that of each segment covers it. So little is read before the first stage that a
small image costs few bytes, and a prefix of a file holds what its stages need and nothing of later ones.
"""

from __future__ import annotations

import itertools

from uqdm.codec import StreamError
from uqdm.coding.layout import (
    HAS_SEED,
    HAS_SIZE,
    MAGIC,
    MODEL_ID_BYTES,
    STAGED,
    FileEndError,
    Header,
    Layout,
    Source,
    Stage,
    pack_fields,
    pack_number,
    parse_fields,
)

SHORTEST_SEGMENT = 3
"""Bytes of the shortest short stream (see :meth:`uqdm.coding.ans.Writer.finish_short`)."""


def pack_stages(header: Header, segments: list[list[bytes]]) -> bytes:
    """The bytes of a file of version 3 from its segments, by chunk and then by stage.

    Raises ValueError for a header with an invalid value, and for segments that no reader would accept.

    >>> header = Header(b"abc", width=64, height=64, tile_size=64, n_stages=2, version=3)
    >>> pack_stages(header, [[b"first", b"second"]])
    b'UQ\\x03abca\\x00\\x05first\\x06second'
    """
    head = pack_head(header)
    if [len(chunk) for chunk in segments] != [header.n_stages] * header.n_chunks:
        raise ValueError(f"the header states {header.n_stages} stages of {header.n_chunks} chunks, others were given")
    return head + b"".join(_pack_stage(stage) for stage in zip(*segments, strict=True))


def pack_head(header: Header) -> bytes:
    """The header's bytes, from which check values start. Raises ValueError for a header with an invalid value."""
    if header.has_index:
        raise ValueError(f"files of version {header.version} have an index: use pack")
    header.check()
    layout, flags, size = pack_fields(header)
    return MAGIC + bytes([header.version]) + header.model_id + bytes([layout, flags]) + size


def _pack_stage(segments: tuple[bytes, ...]) -> bytes:
    shortest = min(map(len, segments))
    if shortest < SHORTEST_SEGMENT:
        raise ValueError(f"{shortest} bytes are no stream: a segment has at least {SHORTEST_SEGMENT}")
    return b"".join(pack_number(len(segment)) for segment in segments) + b"".join(segments)


def read(source: Source) -> Layout:
    """Header and lengths after the byte of the version; see :func:`uqdm.coding.container.read_layout`."""
    header = _parse_header(source)
    header_bytes = source.position
    stages: list[list[Stage]] = []
    index_bytes = 0
    for number in range(1, header.n_stages + 1):
        begin = source.position
        lengths = _lengths(source, header, number)
        if lengths is None:
            break
        index_bytes += source.position - begin
        stages = stages or [[] for _ in lengths]
        _add_stage(stages, lengths, source.position)
        if not source.skip(sum(lengths)):
            break
    return Layout(header, stages, header_bytes, index_bytes, source.position)


def _parse_header(source: Source) -> Header:
    model_id = source.take(MODEL_ID_BYTES, "model id")
    layout, flags = source.take(2, "flags")
    if flags & ~(HAS_SIZE | HAS_SEED):
        raise StreamError(f"flags {flags:#04x} are unknown to this version")
    header = Header(model_id=model_id, **parse_fields(source, layout, flags), version=STAGED)
    for fault in header.faults():
        raise StreamError(fault)
    return header


def _lengths(source: Source, header: Header, number: int) -> list[int] | None:
    """Lengths of the segments of a stage, counted from 1; None if the file ends before the last of them."""
    lengths = []
    # Every length takes at least a byte, so that a header cannot state more chunks than the file has bytes.
    for _ in range(header.n_chunks):
        try:
            lengths.append(source.number("lengths"))
        except FileEndError:
            return None
        if lengths[-1] < SHORTEST_SEGMENT:
            raise StreamError(f"stage {number} of the file is damaged: {lengths[-1]} bytes are no stream")
    return lengths


def _add_stage(stages: list[list[Stage]], lengths: list[int], begin: int) -> None:
    ends = itertools.accumulate(lengths, initial=begin)
    for chunk, (first, past) in zip(stages, itertools.pairwise(ends), strict=True):
        chunk.append(Stage(first, past))
