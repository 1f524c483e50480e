"""The file: one face of all its versions, which packs, parses and describes them.

Versions 1 and 2 are in :mod:`uqdm.coding.indexed`, version 3 in :mod:`uqdm.coding.staged`, and what they share in
:mod:`uqdm.coding.layout`. ``docs/format.md`` specifies them.
"""

from __future__ import annotations

import io
from typing import Any, BinaryIO

from uqdm.codec import StreamError
from uqdm.coding import indexed, staged
from uqdm.coding.indexed import pack
from uqdm.coding.layout import (
    CHUNK_TILES,
    FIELDS,
    HEADER_CHECK_BYTES,
    MAGIC,
    MAX_EPS,
    MAX_PIXELS,
    MAX_SIDE,
    MODEL_ID_BYTES,
    N_STAGES,
    STAGED,
    TILE_SIZE,
    Container,
    Header,
    Layout,
    Source,
    Stage,
)
from uqdm.coding.staged import pack_head, pack_stages

__all__ = [
    "CHUNK_TILES",
    "FIELDS",
    "HEADER_CHECK_BYTES",
    "MAGIC",
    "MAX_EPS",
    "MAX_PIXELS",
    "MAX_SIDE",
    "MODEL_ID_BYTES",
    "N_STAGES",
    "STAGED",
    "TILE_SIZE",
    "VERSIONS",
    "Container",
    "Header",
    "Layout",
    "Stage",
    "describe",
    "is_coded_file",
    "pack",
    "pack_head",
    "pack_stages",
    "parse",
    "read_layout",
]

VERSIONS = (*indexed.VERSIONS, STAGED)
"""All versions that can be read."""


def is_coded_file(head: bytes) -> bool:
    """Whether a file with these first bytes is of this format, in any known version.

    >>> is_coded_file(b"UQ\\x02..."), is_coded_file(b"UQ"), is_coded_file(b"\\x89PNG")
    (True, False, False)
    """
    return head.startswith(MAGIC) and len(head) > len(MAGIC) and head[len(MAGIC)] in VERSIONS


def parse(data: bytes) -> Container:
    """Parses a file or a prefix; :class:`uqdm.codec.StreamError` names the fault."""
    layout = read_layout(io.BytesIO(data))
    layout.check_length(len(data))
    return Container(**vars(layout), data=data)


def read_layout(file: BinaryIO) -> Layout:
    """Reads where the segments of a file are; StreamError names the fault.

    Of versions 1 and 2 header and index are read, at the beginning of the file, and no more. Of version 3, header and
    lengths; the segments between are skipped. Memory is in proportion to the bytes of index or lengths, whatever the
    header states.
    """
    source = Source(file)
    if source.take(len(MAGIC), "magic") != MAGIC:
        raise StreamError(f"not a UQDM file: it starts with {bytes(source.taken) + file.read(4 - len(MAGIC))!r}")
    version = source.take(1, "version")[0]
    if version in indexed.VERSIONS:
        return indexed.read(source, version)
    if version == STAGED:
        return staged.read(source)
    known = f"{', '.join(map(str, VERSIONS[:-1]))} and {VERSIONS[-1]}"
    raise StreamError(f"format version {version} is unknown; this program reads versions {known}")


def describe(layout: Layout, n_bytes: int) -> dict[str, Any]:
    """Header and index of a file, or of a prefix, of ``n_bytes`` bytes, as plain data for JSON.

    Of version 3, the stages whose lengths are held; their bytes include the lengths.
    """
    header = layout.header
    ends = [layout.stage_end(0), *layout.ends]
    n_pixels = header.width * header.height
    return {
        "format_version": header.version,
        "model_id": header.model_id.hex(),
        "width": header.width,
        "height": header.height,
        "tile_size": header.tile_size,
        "tiles": header.n_tiles,
        "chunks": header.n_chunks,
        "seed": header.seed,
        "seeds_tried": 1 << header.seed_bits,
        "network_precision": "float64" if header.double or header.version == STAGED else "float32",
        "tolerance": _tolerance(header),
        "bytes": {"file": n_bytes, "header": layout.header_bytes, "index": layout.index_bytes},
        "n_stages": header.n_stages,
        "stages_held": layout.stages_in(n_bytes),
        "stages": [
            {
                "stage": stage + 1,
                "bytes": ends[stage + 1] - ends[stage],
                "ends_at": ends[stage + 1],
                "bpp_so_far": 8 * ends[stage + 1] / n_pixels,
                "checks": [_hex(chunk[stage].check) for chunk in layout.stages],
            }
            for stage in range(len(layout.ends))
        ],
    }


def _tolerance(header: Header) -> dict[str, float] | None:
    """The tolerances that a file states; version 3 states none."""
    if header.version == STAGED:
        return None
    return {"mean_bins": header.mean_eps_bins, "scale_octaves": header.scale_eps_octaves}


def _hex(check: int | None) -> str:
    return "in the stream" if check is None else f"{check:04x}"
