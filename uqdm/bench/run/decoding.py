"""Decodes stored streams, and checks each picture against the hash of the one that was measured."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from uqdm.bench.checked_calls import pictures, version_of
from uqdm.bench.run.found_settings import NOTHING_FOUND, FoundSetting
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.codec import Codec, get_codec
from uqdm.plugins import contained
from uqdm.text import error_line

PictureName = tuple[str, str]
"""The names of a point and of a reconstruction, which identify a picture of a stream."""
MakeCodec = Callable[[Mapping[str, Any]], Codec]
"""Makes a codec at a setting with these parameters in addition."""


@dataclass(frozen=True)
class DecodeFault:
    """Why a stream did not give the picture that was measured.

    ``is_other`` says that it decodes here, to another picture; ``error`` is what the codec raised,
    if it raised.
    """

    reason: str
    is_other: bool = False
    error: Exception | None = None


NO_SUCH_PICTURE = DecodeFault("decoding its stream gave no such picture here")


class StreamDecoder:
    """A codec at one setting that decodes stored streams to the pictures that were measured.

    Another picture than the measured one is taken only where the codec says that this kind of
    reconstruction varies by rounding between machines, and its version is the one that measured.

    Where each image has a setting that a search found, its files are decoded at that setting.
    """

    def __init__(self, codec: Codec, measured_version: str | None, make: MakeCodec | None = None) -> None:
        self._codec = codec
        self._measured_version = measured_version
        self._make = make
        self._found: tuple[str, Codec] = ("", codec)

    @classmethod
    def of_setting(cls, manifest: Mapping[str, Any], setting: str) -> Self:
        """The decoder of a codec at a setting, from the codec's manifest; raises as :meth:`make`."""
        (listed,) = (one for one in manifest["settings"] if one["setting"] == setting)
        name = listed.get("taken_from", manifest)["codec"]  # a merged run may give a codec a longer name
        return cls.make(name, listed["parameters"], listed["codec_version"])

    @classmethod
    def make(cls, name: str, parameters: Mapping[str, Any], measured_version: str | None) -> Self:
        """The decoder of a codec; raises whatever the codec raises where it cannot be made here."""

        def make(found: Mapping[str, Any]) -> Codec:
            with contained():
                return get_codec(name, **{**parameters, **found})

        return cls(make({}), measured_version, make)

    def pictures(
        self, stream: bytes, measured_sha256: Mapping[PictureName, str], found: FoundSetting = NOTHING_FOUND
    ) -> Iterator[tuple[PictureName, np.ndarray | DecodeFault]]:
        """Each picture in ``measured_sha256``, uint8 [H, W, 3], as soon as it is decoded, or why there is none.

        The rest of the stream is not decoded. ``found`` is what a search found for the image of the stream.
        """
        asked: dict[PictureName, list[PictureName]] = {}
        for name in measured_sha256:
            asked.setdefault(found.in_stream(*name), []).append(name)
        fault = NO_SUCH_PICTURE
        try:
            codec = self._codec_at(found)
            decoded = pictures(codec, stream)
            while asked:
                picture, _ = next(decoded)
                for name in asked.pop((picture.point.name, picture.name), ()):
                    yield name, self._checked(codec, name, picture.image_uint8, measured_sha256[name])
        except StopIteration:
            pass
        except Exception as error:
            fault = decode_fault(error)
        for names in asked.values():
            yield from ((name, fault) for name in names)

    def _codec_at(self, found: FoundSetting) -> Codec:
        """The codec at the parameters that were found; the last one is kept, as neighbours often agree."""
        if not found.setting or self._make is None:
            return self._codec
        if self._found[0] != found.setting:
            self._found = (found.setting, self._make(found.parameters))
        return self._found[1]

    def _checked(
        self, codec: Codec, name: PictureName, image_uint8: np.ndarray, measured_sha256: str
    ) -> np.ndarray | DecodeFault:
        sha256 = picture_sha256(image_uint8)
        if sha256 == measured_sha256:
            return image_uint8
        version = version_of(codec)
        is_same_codec = version == self._measured_version
        point, reconstruction = name
        if is_same_codec and reconstruction in _varying(codec):
            return image_uint8
        versions = "" if is_same_codec else f"; decoded by {version}, measured by {self._measured_version}"
        return DecodeFault(
            f"decodes to another picture at {point!r} than was measured (SHA-256 {sha256[:16]}, row "
            f"{measured_sha256[:16]}{versions})",
            is_other=True,
        )


def _varying(codec: Codec) -> Collection[str]:
    with contained():
        return frozenset(codec.varying_reconstructions)


def decode_fault(error: Exception) -> DecodeFault:
    """The fault of a codec that could not be made, or that raised while it decoded."""
    return DecodeFault(f"cannot be decoded here: {error_line(error)}", error=error)
