"""Guards that a stored stream gives the picture that was measured, or says why it does not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from toy_codecs import Model, Noisy, Raw
from toy_images import unmarked_images

from uqdm.bench.run.decoding import DecodeFault, PictureName, StreamDecoder
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.codec import Codec, Reconstruction

IMAGE = unmarked_images(1)[0]


class RaisesAtTheEnd(Model):
    """Raises in place of its last picture."""

    name = "toy-raises-at-the-end"

    def reconstructions(self, stream: bytes) -> Iterator[Reconstruction]:
        yield from list(super().reconstructions(stream))[:-1]
        raise RuntimeError("too late")


def hashes(codec: Codec) -> dict[PictureName, str]:
    (stream,) = codec.encode([IMAGE])
    pictures = codec.reconstructions(stream)
    return {(picture.point.name, picture.name): picture_sha256(picture.image_uint8) for picture in pictures}


def decoded(
    codec: Codec, measured_sha256: dict[PictureName, str], version: str | None = "toy 1"
) -> dict[PictureName, np.ndarray | DecodeFault]:
    (stream,) = codec.encode([IMAGE])
    return dict(StreamDecoder(codec, version).pictures(stream, measured_sha256))


def test_pictures_that_were_measured_are_given() -> None:
    found = decoded(Model(), hashes(Model()))
    assert list(found) == [("high", "floor"), ("high", "middle"), ("all", "decoded")]
    np.testing.assert_array_equal(found["all", "decoded"], IMAGE)


def test_another_picture_is_a_fault_that_names_both_hashes_and_versions() -> None:
    fault = decoded(Raw(), {("full", "decoded"): "0" * 64})["full", "decoded"]
    sha256 = picture_sha256(IMAGE)[:16]
    text = f"decodes to another picture at 'full' than was measured (SHA-256 {sha256}, row {'0' * 16})"
    assert fault == DecodeFault(text, is_other=True)
    fault = decoded(Raw(), {("full", "decoded"): "0" * 64}, version="toy 0")["full", "decoded"]
    assert isinstance(fault, DecodeFault)
    assert fault.reason.endswith("; decoded by toy 1, measured by toy 0)")


@pytest.mark.parametrize(("version", "is_taken"), [("toy 1", True), ("toy 0", False)])
def test_a_picture_that_varies_between_machines_is_taken_from_the_same_version(version: str, is_taken: bool) -> None:
    found = decoded(Noisy(drop=4), {("full", "decoded"): "0" * 64}, version)
    assert isinstance(found["full", "decoded"], np.ndarray) is is_taken


def test_an_error_of_the_codec_is_the_fault_of_the_pictures_that_are_left() -> None:
    found = decoded(RaisesAtTheEnd(), hashes(Model()))
    assert isinstance(found["high", "middle"], np.ndarray)
    fault = found["all", "decoded"]
    assert isinstance(fault, DecodeFault)
    assert fault.reason == "cannot be decoded here: RuntimeError: too late"
    assert isinstance(fault.error, RuntimeError)


def test_decoding_ends_with_the_last_requested_picture() -> None:
    measured_sha256 = hashes(Model())
    del measured_sha256["all", "decoded"]
    assert all(isinstance(found, np.ndarray) for found in decoded(RaisesAtTheEnd(), measured_sha256).values())


def test_a_picture_that_the_stream_does_not_have_is_a_fault() -> None:
    found = decoded(Raw(), {("full", "mean"): "0" * 64})
    assert found == {("full", "mean"): DecodeFault("decoding its stream gave no such picture here")}
