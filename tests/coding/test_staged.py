"""Containers of version 3: what a prefix holds, damaged and forged headers and lengths. No network and no coder."""

import io
import itertools
import tracemalloc
from dataclasses import replace

import pytest

from uqdm.codec import StreamError
from uqdm.coding.container import (
    MAX_PIXELS,
    Container,
    Header,
    describe,
    is_coded_file,
    pack,
    pack_stages,
    parse,
    read_layout,
)

ONE = Header(b"abc", width=64, height=64, tile_size=64, n_stages=4, version=3)
THREE = replace(ONE, width=70, height=37, tile_size=8, seed=70_000)
"""45 tiles: two chunks of 16, and one of 13."""
MIB = 1 << 20


def segments_of(header: Header, longest: int = 300) -> list[list[bytes]]:
    """Segments of different lengths and content, by chunk and stage: short ones, and some with lengths of two bytes."""
    numbers = itertools.count(7, 53)
    lengths = ((3 + next(numbers) % longest) for _ in itertools.count())
    return [
        [bytes([16 * stage + chunk]) * next(lengths) for stage in range(header.n_stages)]
        for chunk in range(header.n_chunks)
    ]


class Unseekable(io.BytesIO):
    """A pipe."""

    def seekable(self) -> bool:
        """No."""
        return False

    def seek(self, *_: int) -> int:
        """Refused."""
        raise io.UnsupportedOperation


def held(container: Container) -> list[list[bytes]]:
    """The segments of all whole stages, by chunk and stage."""
    stages = range(container.complete_stages())
    return [[container.segment(chunk, stage) for stage in stages] for chunk in range(container.header.n_chunks)]


def end_of_first_lengths(header: Header, segments: list[list[bytes]]) -> int:
    return parse(pack_stages(header, segments)).stages[0][0].begin


def test_bytes_of_a_small_file():
    header = Header(b"\x50\xee\x11", width=9, height=200, tile_size=16, n_stages=2, seed=1, version=3)
    data = pack_stages(
        header,
        [
            [b"one", b"three"],
        ],
    )
    assert data.hex(" ") == "55 51 03 50 ee 11 41 60 09 c0 08 01 03 6f 6e 65 05 74 68 72 65 65"
    assert parse(data).header == header
    plain = pack_stages(replace(ONE, n_stages=1), [[b"one"]])
    assert plain.hex(" ") == "55 51 03 61 62 63 60 00 03 6f 6e 65"


def test_a_tile_with_seed_0_has_9_bytes_before_its_first_segment():
    segments = segments_of(ONE, longest=100)
    assert end_of_first_lengths(ONE, segments) == 9
    assert parse(pack_stages(ONE, segments)).stage_end(0) == 8


@pytest.mark.parametrize("header", [ONE, THREE, replace(THREE, n_stages=16), replace(ONE, width=1, n_stages=1)])
def test_files_round_trip(header):
    segments = segments_of(header)
    data = pack_stages(header, segments)
    container = parse(data)
    assert (container.header, container.complete_stages()) == (header, header.n_stages)
    assert held(container) == segments
    assert container.head == data[: container.stage_end(0)]
    assert container.stage_end(header.n_stages) == len(data)
    assert all(stage.check is None for chunk in container.stages for stage in chunk)
    assert pack_stages(container.header, held(container)) == data
    assert is_coded_file(data[:3])


@pytest.mark.parametrize("header", [ONE, THREE])
def test_every_truncation_holds_the_stages_that_end_before(header):
    segments = segments_of(header)
    data = pack_stages(header, segments)
    whole = parse(data)
    ends = [whole.stage_end(stage) for stage in range(header.n_stages + 1)]
    begins = [whole.stages[0][stage].begin for stage in range(header.n_stages)]
    for size in range(ends[0]):
        with pytest.raises(StreamError, match=r"the file ends inside its \w+|not a UQDM file"):
            parse(data[:size])
    for size in range(ends[0], len(data) + 1):
        cut = parse(data[:size])
        n_whole = sum(end <= size for end in ends[1:])
        n_known = sum(begin <= size for begin in begins)
        assert held(cut) == [chunk[:n_whole] for chunk in segments]
        assert {len(chunk) for chunk in cut.stages} == ({n_known} if n_known else set())
        assert [cut.stage_end(stage) for stage in range(n_known + 1)] == ends[: n_known + 1]
        if n_known < header.n_stages:
            with pytest.raises(StreamError, match=f"cut at {size} bytes, before it says where stage {n_known + 1}"):
                cut.stage_end(n_known + 1)
        if n_whole < header.n_stages:
            with pytest.raises(StreamError, match="the file is cut"):
                cut.segment(header.n_chunks - 1, n_whole)


def test_parts_of_a_prefix_are_its_segments_lengths_and_header():
    segments = segments_of(THREE)
    container = parse(pack_stages(THREE, segments))
    for size in range(container.stage_end(0), len(container.data) + 1, 3):
        parts = container.parts(size)
        assert (parts.n_bytes, parts.container_bytes) == (size, container.header_bytes)
        assert parse(container.data[:size]).parts(size) == parts
    parts = container.parts(len(container.data))
    assert parts.payload_bytes == sum(len(segment) for chunk in segments for segment in chunk)
    assert parts.side_bytes == container.index_bytes == sum(1 + (len(s) > 191) for chunk in segments for s in chunk)
    assert container.parts(container.stage_end(0)).payload_bytes == 0


@pytest.mark.parametrize("header", [ONE, THREE])
def test_a_longer_file_is_refused(header):
    data = pack_stages(header, segments_of(header))
    with pytest.raises(StreamError, match="longer than its last stage says"):
        parse(data + b"\0")


@pytest.mark.parametrize("header", [ONE, THREE])
def test_every_flipped_bit_of_header_and_lengths_is_refused_or_parsed(header):
    data = pack_stages(header, segments_of(header))
    whole = parse(data)
    places = set(range(whole.header_bytes))
    for stage in range(header.n_stages):
        places |= set(range(whole.stage_end(stage), whole.stages[0][stage].begin))
    n_refused = 0
    for place, bit in itertools.product(sorted(places), range(8)):
        flipped = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
        try:
            found = parse(flipped)
        except StreamError:
            n_refused += 1
            continue
        assert found.complete_stages() < header.n_stages or (found.header, found.stages) != (header, whole.stages)
        assert len(held(found)) == found.header.n_chunks
        describe(found, len(data))
    assert 0.2 * 8 * len(places) < n_refused < 8 * len(places)


@pytest.mark.parametrize("length", [0, 1, 2])
def test_a_segment_shorter_than_any_stream_is_damaged(length):
    data = bytearray(pack_stages(ONE, segments_of(ONE)))
    for stage in range(4):
        place = parse(bytes(data)).stage_end(stage)
        damaged = data[:place] + bytes([length]) + data[place + 1 :]
        with pytest.raises(StreamError, match=f"stage {stage + 1} of the file is damaged: {length} bytes"):
            parse(bytes(damaged))
    with pytest.raises(ValueError, match=f"{length} bytes are no stream"):
        pack_stages(replace(ONE, n_stages=1), [[bytes(length)]])


def test_flags_that_no_field_has_are_refused():
    data = pack_stages(ONE, segments_of(ONE))
    for flags in set(range(256)) - {0, 32, 64, 96}:
        with pytest.raises(StreamError, match="are unknown to this version"):
            parse(data[:7] + bytes([flags]) + data[8:])


def test_other_versions_are_unknown_and_writers_keep_to_theirs():
    data = pack_stages(ONE, segments_of(ONE))
    with pytest.raises(StreamError, match="format version 4 is unknown; this program reads versions 1, 2 and 3"):
        parse(data[:2] + b"\4" + data[3:])
    assert not is_coded_file(b"UQ\4")
    with pytest.raises(ValueError, match="have an index: use pack"):
        pack_stages(replace(ONE, version=2), segments_of(ONE))
    with pytest.raises(ValueError, match="have no index: use pack_stages"):
        pack(ONE, [b""], [[0] * 3], [[0] * 3])


def test_writers_refuse_what_a_file_of_version_3_cannot_state():
    for fields in ({"seed_bits": 2}, {"double": True}, {"mean_eps_bins": 2.0**-8}, {"scale_eps_octaves": 2.0**-8}):
        with pytest.raises(ValueError, match="is not stated in files of version 3"):
            pack_stages(replace(ONE, **fields), segments_of(ONE))
    for segments in ([], segments_of(THREE), [segments_of(ONE)[0][:3]]):
        with pytest.raises(ValueError, match="the header states 4 stages of 1 chunks"):
            pack_stages(ONE, segments)
    with pytest.raises(ValueError, match="exceeds the limit"):
        pack_stages(replace(ONE, width=1 << 14, height=(1 << 14) + 1), segments_of(ONE))


@pytest.mark.parametrize("file", [io.BytesIO, Unseekable])
def test_a_layout_is_read_without_the_segments(file):
    header = replace(ONE, n_stages=3)
    big = bytes(8 * MIB)
    data = pack_stages(header, [[big, b"abc", big]])
    for size in (len(data), len(data) - 1, 8 * MIB + 20, 5 * MIB, 9, 8):
        expected = parse(data[:size])
        stream = file(data[:size])
        tracemalloc.start()
        layout = read_layout(stream)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3 * MIB
        assert layout.bytes_read + len(stream.read()) == size
        assert layout.stages == expected.stages
        assert describe(layout, size) == describe(expected, size)


def test_memory_is_in_proportion_to_the_bytes_held_whatever_the_header_states():
    claim = replace(ONE, width=1 << 14, height=1 << 14, tile_size=1)
    assert claim.n_tiles == MAX_PIXELS
    head = b"UQ\3abc\x03\x20" + bytes.fromhex("f00f40") * 2  # a number of 3 bytes: 12,480 + 3,904
    for body in (b"", b"\3" * 1000, b"\xff" * 1000):
        tracemalloc.start()
        container = parse(head + body)
        described = describe(container, len(container.data))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (container.header, container.stages, container.complete_stages()) == (claim, [], 0)
        assert (described["chunks"], described["stages"]) == (MAX_PIXELS // 16, [])
        assert peak < MIB


def test_description_of_a_cut_file_has_what_is_known_and_no_tolerances():
    data = pack_stages(THREE, segments_of(THREE))
    container = parse(data)
    ends = [container.stage_end(stage) for stage in range(4)]
    size = container.stages[0][2].begin  # the lengths of stage 3, and nothing of its segments
    found = describe(parse(data[:size]), size)
    assert (found["format_version"], found["network_precision"], found["tolerance"]) == (3, "float64", None)
    assert (found["n_stages"], found["stages_held"], found["chunks"]) == (4, 2, 3)
    assert [stage["ends_at"] for stage in found["stages"]] == ends[1:]
    assert [stage["bytes"] for stage in found["stages"]] == [b - a for a, b in itertools.pairwise(ends)]
    assert found["stages"][0]["checks"] == ["in the stream"] * 3
    lengths = sum(container.stages[0][stage].begin - ends[stage] for stage in range(3))
    assert found["bytes"] == {"file": size, "header": ends[0], "index": lengths}
