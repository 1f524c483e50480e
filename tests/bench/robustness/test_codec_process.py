"""A codec in a process of its own: crash, hang and memory are told apart, and the next file is decoded."""

from __future__ import annotations

import numpy as np
import pytest
import toy_codecs

from uqdm.bench.robustness.cells import HERE, Cell
from uqdm.bench.robustness.codec_process import CodecProcess, Limits, Outcome, RequestFailedError
from uqdm.bench.run.picture_hash import picture_sha256

IMAGE = np.full((4, 4, 3), 9, np.uint8)
LIMITS = Limits(time_s=5.0, memory_bytes=200 * 2**20)


def marked(mark: int) -> bytes:
    image = IMAGE.copy()
    image[0, 0, 0] = mark
    return toy_codecs.Raw().encode([image])[0]


@pytest.mark.slow
@pytest.mark.usefixtures("toys")
def test_faults_are_told_apart_and_the_next_file_is_decoded() -> None:
    found = []
    with CodecProcess("toy-hazardous", {}, HERE, LIMITS) as process:
        for stream in (b"not a file", marked(toy_codecs.CRASH), marked(toy_codecs.HANG), marked(toy_codecs.FILL)):
            with pytest.raises(RequestFailedError) as failed:
                process.decode([stream])
            found.append(failed.value.outcome)
            assert process.decode([marked(9)]) == [picture_sha256(IMAGE)]
    assert found == [Outcome.REFUSED, Outcome.CRASHED, Outcome.HUNG, Outcome.OUT_OF_MEMORY]


@pytest.mark.usefixtures("toys")
def test_pictures_of_all_points_and_of_a_batch_come_back() -> None:
    with CodecProcess("toy-layered", {}, Cell("two threads", threads=2)) as process:
        stream = process.encode(IMAGE)
        pictures = process.reconstructions(stream)
        assert {name: int(one[0, 0, 0]) for name, one in pictures.items()} == {
            ("high", "floor"): 0, ("high", "middle"): 8, ("all", "decoded"): 9,
        }  # fmt: skip
        assert [one.tolist() for one in process.decode_pictures([stream, stream])] == 2 * [IMAGE.tolist()]
        assert process.points(stream) == [8 + IMAGE.size, 8 + 2 * IMAGE.size]
        assert process.version == "toy 1"


@pytest.mark.usefixtures("toys")
def test_a_codec_that_cannot_be_made_is_an_error() -> None:
    with (
        CodecProcess("toy-absent", {}, HERE) as process,
        pytest.raises(RequestFailedError, match="libtoy is not installed"),
    ):
        process.encode(IMAGE)
