"""The contract of a codec, and the registry that finds codecs by name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import uqdm.codec as registry
from uqdm.codec import (
    Codec,
    CodecClashError,
    CodecUnavailableError,
    Encoded,
    Missing,
    Parameter,
    ParameterError,
    Point,
    StreamError,
    UnknownCodecError,
    check_images,
    codec_class,
    codec_names,
    get_codec,
    register_codec,
)


class Plain(Codec):
    """Keeps the values of square images as they are."""

    name = "plain"
    parameters = (
        Parameter("level", int, 3, minimum=1, maximum=9),
        Parameter("distance", float, 1.0, minimum=0, maximum=25),
        Parameter("exact", bool, False),
        Parameter("mode", str, "rgb", choices=("rgb", "ycc")),
        Parameter("seed", int, None),
    )

    @property
    def version(self) -> str:
        return "plain 1"

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        check_images(images)
        return [image.tobytes() for image in images]

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        sides = [int((len(stream) / 3) ** 0.5) for stream in streams]
        return [np.frombuffer(s, np.uint8).reshape(n, n, 3) for s, n in zip(streams, sides, strict=True)]


@pytest.fixture
def fresh_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A registry without registered classes, which reads the entry points again before and after."""
    monkeypatch.setattr(registry.CODECS, "registered", {})
    registry.CODECS.forget()
    yield
    registry.CODECS.forget()


Install = Callable[[str, str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registry: None) -> Iterator[Install]:
    """Installs a package with one module of this source and these entry points, for the time of a test."""
    modules: list[str] = []

    def _install(package: str, source: str, entry_points: str) -> None:
        information = tmp_path / package / f"{package}-1.0.dist-info"
        information.mkdir(parents=True)
        (tmp_path / package / f"{package}.py").write_text(source)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(f"[uqdm.codecs]\n{entry_points}\n")
        monkeypatch.syspath_prepend(tmp_path / package)
        modules.append(package)
        registry.CODECS.forget()

    yield _install
    for module in modules:
        sys.modules.pop(module, None)


# ---- parameters ---------------------------------------------------------------------------------------------


def test_parameters_left_out_take_their_defaults_in_declared_order() -> None:
    assert Plain(mode="ycc", level=9).setting == "level=9,distance=1.0,exact=false,mode=ycc,seed=None"


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"level": "4"}, 4), ({"distance": 2}, 2.0), ({"distance": "0.5"}, 0.5), ({"exact": "True"}, True)],
)
def test_text_and_integers_are_converted_to_the_declared_type(given: dict[str, Any], expected: object) -> None:
    (name,) = given
    value = Plain(**given).values[name]
    assert (value, type(value)) == (expected, type(expected))


def test_the_setting_does_not_depend_on_how_a_value_was_written() -> None:
    assert Plain(distance="2", level="3").setting == Plain(distance=2.0).setting


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"level": 0}, "level=0: must be at least 1"),
        ({"level": 10}, "level=10: must be at most 9"),
        ({"level": 2.0}, "level=2.0: expected int, got float"),
        ({"level": True}, "level=True: expected int, got bool"),
        ({"level": "many"}, "level='many': expected int, got str"),
        ({"level": None}, "level=None: expected int, got NoneType"),
        ({"distance": "nan"}, "distance='nan': must be finite"),
        ({"distance": float("inf")}, "distance=inf: must be finite"),
        ({"exact": 1}, "exact=1: expected bool, got int"),
        ({"exact": "yes"}, "exact='yes': expected bool, got str"),
        ({"mode": "lab"}, "mode='lab': choose one of rgb, ycc"),
        ({"levle": 3}, "plain has no parameter 'levle' (did you mean level?); it takes: level, distance, exact"),
    ],
)
def test_a_wrong_parameter_is_reported_with_the_allowed_values(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        Plain(**given)
    assert message in str(caught.value)


def test_errors_of_streams_and_parameters_are_value_errors() -> None:
    assert issubclass(StreamError, ValueError)
    assert issubclass(ParameterError, ValueError)


# ---- what a codec gets from the base class ------------------------------------------------------------------


def test_a_codec_without_points_has_one_that_is_the_whole_stream() -> None:
    codec = Plain()
    image = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    (encoded,) = codec.encode_detailed([image])
    assert encoded == Encoded(image.tobytes(), {}, None)
    assert codec.points(encoded.stream) == [Point("full", 27, ("decoded",))]
    (picture,) = codec.reconstructions(encoded.stream)
    assert (picture.point.name, picture.name) == ("full", "decoded")
    np.testing.assert_array_equal(picture.image_uint8, image)


@pytest.mark.parametrize(
    ("image", "got"),
    [
        (np.zeros((2, 2, 3), np.float32), "float32 [2, 2, 3]"),
        (np.zeros((2, 2), np.uint8), "uint8 [2, 2]"),
        (np.zeros((2, 2, 4), np.uint8), "uint8 [2, 2, 4]"),
        (np.zeros((0, 2, 3), np.uint8), "uint8 [0, 2, 3]"),
        ([[[1, 2, 3]]], "list"),
    ],
)
def test_check_images_names_the_image_and_its_type(image: Any, got: str) -> None:
    with pytest.raises(ValueError, match="image 1: expected uint8") as caught:
        check_images([np.zeros((1, 1, 3), np.uint8), image])
    assert got in str(caught.value)


# ---- registry -----------------------------------------------------------------------------------------------


def test_an_unknown_name_gets_a_suggestion_and_the_list() -> None:
    with pytest.raises(UnknownCodecError) as caught:
        get_codec("jpeg200")
    assert "no codec 'jpeg200' (did you mean jpeg2000" in str(caught.value)
    assert all(name in str(caught.value).partition("known: ")[2] for name in codec_names())


def test_names_are_known_without_importing_any_codec(install: Install) -> None:
    install("untouched", "raise SystemExit('imported')", "untouched = untouched:Codec")
    assert "untouched" in codec_names()
    assert "untouched" not in sys.modules


def test_a_class_can_be_registered_in_a_process(fresh_registry: None) -> None:
    assert register_codec(Plain) is Plain
    again = type("Plain", (Codec,), dict(vars(Plain)))  # as when the cell of a notebook is run again
    assert register_codec(again) is again
    assert isinstance(get_codec("plain", level=5), again)
    assert "plain" in codec_names()


def test_another_class_of_a_registered_name_is_a_clash(fresh_registry: None) -> None:
    register_codec(Plain)
    with pytest.raises(CodecClashError, match=r"'plain' is taken by .*Plain.*; give yours another name"):
        register_codec(type("Other", (Plain,), {}))


def test_a_registered_class_cannot_take_the_name_of_an_installed_one(fresh_registry: None) -> None:
    with pytest.raises(CodecClashError, match=r"'jpeg' is taken by uqdm_baselines\.jpeg:JPEG"):
        register_codec(type("Mine", (Plain,), {"name": "jpeg"}))


def test_two_packages_of_one_name_are_a_clash_that_names_both(install: Install) -> None:
    install("first", "", "twin = first:A")
    install("second", "", "twin = second:B")
    with pytest.raises(CodecClashError, match="'twin' is registered twice") as caught:
        codec_class("twin")
    assert "first:A of first" in str(caught.value)
    assert "second:B of second" in str(caught.value)
    assert "uninstall one of them" in str(caught.value)


def test_a_module_that_does_not_import_makes_only_its_codec_unavailable(install: Install) -> None:
    install("needy", "import a_library_that_is_nowhere", "needy = needy:Codec")
    with pytest.raises(CodecUnavailableError, match=r"'needy' \(needy:Codec\) .*a_library_that_is_nowhere"):
        get_codec("needy")
    assert get_codec("png").name == "png"


def test_a_codec_with_a_missing_library_names_it_and_the_remedy(fresh_registry: None) -> None:
    lack = Missing("libplain is not installed", "apt install libplain")
    register_codec(type("Lacking", (Plain,), {"missing": classmethod(lambda cls: lack)}))
    with pytest.raises(CodecUnavailableError, match="'plain' cannot run here: libplain is not installed; apt install"):
        get_codec("plain")
    assert codec_class("plain")(level=2).setting.startswith("level=2")  # its settings can still be checked


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"name": "other"}, "the class is named 'other'; the two must agree"),
        ({"sweep": ({"levle": 1},)}, "did you mean level"),
        ({"sweep": ({"level": 99},)}, "must be at most 9"),
    ],
)
def test_a_class_that_violates_the_contract_is_refused_when_it_is_loaded(
    attributes: dict[str, Any], message: str, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("broken", "", "broken = broken:Broken")
    import broken  # type: ignore[import-not-found]

    monkeypatch.setattr(broken, "Broken", type("Broken", (Plain,), {"name": "broken", **attributes}), raising=False)
    with pytest.raises((TypeError, ParameterError), match=message):
        codec_class("broken")


def test_a_class_without_a_decoder_is_refused_by_its_missing_method(fresh_registry: None) -> None:
    class Half(Codec):
        """Encodes only."""

        name = "half"
        summary: ClassVar[str] = "half a codec"

        @property
        def version(self) -> str:
            return "half 1"

        def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
            return [image.tobytes() for image in images]

    with pytest.raises(TypeError, match="Half does not define decode"):
        register_codec(Half)


def test_an_object_that_is_not_a_codec_is_refused(install: Install) -> None:
    install("number", "Codec = 3", "number = number:Codec")
    with pytest.raises(TypeError, match=r"'number': 3 is not a subclass of uqdm\.codec\.Codec"):
        get_codec("number")


@pytest.mark.parametrize("name", codec_names())
def test_every_installed_codec_fulfils_the_contract(name: str) -> None:
    codec = codec_class(name)
    assert codec.summary
    assert codec.suffix.startswith(".")
    assert len({codec(**settings).setting for settings in codec.sweep}) == len(codec.sweep)
    if codec.missing() is None and name not in ("program", "remote", "remote-estimate"):  # without a command
        assert codec(**codec.sweep[0]).version
