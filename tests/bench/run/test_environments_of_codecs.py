"""The environments that codecs of a run need, and the texts by which the workflow sees that a codec changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import uqdm.codec
from uqdm.bench.run.codec_settings import CodecSetting, parse_request, requests_from_mapping, resolve
from uqdm.bench.run.environments import environments_of, identity_of_setting
from uqdm.codec import Codec, CodecUnavailableError, Parameter, UnknownCodecError, register_codec
from uqdm.environments import canonical_text, environment
from uqdm.environments.stamp import Stamp
from uqdm.environments.storage import VARIABLE


class Separate(Codec):
    """A codec that needs an environment, without the work."""

    name = "toy-separate"
    parameters = (
        Parameter("environment", str, "", canonical=canonical_text),
        Parameter("command", str, ""),
        Parameter("quality", int, 1),
    )

    @property
    def version(self) -> str:
        missing = environment(self.values["environment"]).missing()
        if missing is not None:
            raise CodecUnavailableError(missing)
        return "toy 1"

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        return [image.tobytes() for image in images]

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        raise NotImplementedError


class WithDefault(Separate):
    """Its settings name the environment."""

    name = "toy-with-default"
    sweep: ClassVar = ({"environment": "codec.txt", "quality": 1}, {"environment": "codec.txt", "quality": 2})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stored"))
    Path("codec.txt").write_text("idna==3.7\n")
    Path("other.txt").write_text("idna==3.6\n")
    Path("codec.yaml").write_text("dependencies: [python=3.9]\n")
    register_codec(Separate)
    register_codec(WithDefault)
    yield tmp_path
    uqdm.codec.CODECS.forget()


def files(codecs: dict[str, Any]) -> list[str]:
    return [one.file.name for one in environments_of(requests_from_mapping(codecs))]


def test_each_file_is_named_once() -> None:
    locks = ["codec.txt", "./codec.txt", "other.txt", "codec.yaml"]
    listed = [{"environment": lock, "quality": [1, 2]} for lock in locks]
    assert files({"png": None, "toy-separate": listed}) == ["codec.txt", "other.txt", "codec.yaml"]
    assert files({"toy-separate": {"environment": ["other.txt", "codec.txt"], "quality": "1..8"}}) == [
        "other.txt",
        "codec.txt",
    ]


def test_commands_and_no_environment_need_none_made() -> None:
    assert (
        files({"png": None, "toy-separate": [{"environment": "conda run -n x"}, {"quality": 2}, {"label": "x"}]}) == []
    )


def test_the_settings_of_a_class_name_environments_too() -> None:
    assert files({"toy-with-default": None}) == ["codec.txt"]
    assert files({"toy-with-default": {"target": "bpp=0.5"}}) == ["codec.txt"]


def test_errors_of_the_configuration_are_raised() -> None:
    with pytest.raises(ValueError, match=r"lokc.txt: No such file"):
        files({"toy-separate": {"environment": "lokc.txt"}})
    with pytest.raises(UnknownCodecError):
        files({"toy-seprate": {"environment": "codec.txt"}})


def setting(text: str) -> CodecSetting:
    ((found,),) = resolve([parse_request(text)]).values()
    return found


def test_the_text_of_a_setting_is_the_same_before_and_after_its_environment_is_made() -> None:
    text = "toy-separate:environment=codec.txt,quality=3"
    before = setting(text)
    assert before.missing is not None
    found = environment("codec.txt")
    assert found.folder is not None
    Stamp("codec.txt", found.sha256, "", [], [], "").write(found.folder)  # type: ignore[attr-defined]
    after = setting(text)
    assert (after.missing, after.version) == (None, "toy 1")
    assert identity_of_setting(before) == identity_of_setting(after)
    assert found.identity in identity_of_setting(after)
    assert "quality=3 " in identity_of_setting(after)


def test_the_text_of_a_setting_changes_with_lock_parameters_and_files_of_the_command(folder: Path) -> None:
    script = folder / "host.py"
    script.write_text("1")
    text = f"toy-separate:environment=codec.txt,command=python {script}"
    texts = [identity_of_setting(setting(text)), identity_of_setting(setting(f"{text},quality=2"))]
    script.write_text("22")
    texts.append(identity_of_setting(setting(text)))
    Path("codec.txt").write_text("idna==3.6\n")
    texts.append(identity_of_setting(setting(text)))
    assert len(set(texts)) == 4
    assert identity_of_setting(setting(text)) == texts[-1]


def test_other_settings_have_their_version_or_what_is_missing() -> None:
    assert (
        identity_of_setting(setting("toy-separate:quality=2")) == "toy-separate:environment=,command=,quality=2 toy 1"
    )
    absent = identity_of_setting(setting("toy-separate:environment=no-such-program"))
    assert "has no program 'no-such-program'" in absent
    assert identity_of_setting(setting("png")) == f"png: {uqdm.codec.get_codec('png').version}"
