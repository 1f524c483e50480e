"""Parameters of codecs that are paths: absolute in settings, one spelling for one place."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from uqdm.bench.run.codec_settings import parse_request, resolve
from uqdm.codec import ParameterError, codec_class, get_codec
from uqdm.model.zoo import SHIPPED, absolute_name


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model's folder inside the working directory of the test, which is also the home folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(SHIPPED / "uqdm-pixel", tmp_path / "models/mine")
    (tmp_path / "link").symlink_to("models/mine")
    return tmp_path / "models/mine"


def test_two_spellings_of_a_models_folder_are_one_setting(model: Path) -> None:
    spellings = ["models/mine", "./models//mine/", "~/models/mine", "models/x/../mine", str(model)]
    (model.parent / "x").mkdir()
    for name in ("uqdm", "vdm"):
        (found,) = resolve(parse_request(f"{name}:model={text}") for text in spellings).values()
        assert [codec_setting.parameters["model"] for codec_setting in found] == [str(model)]


def test_a_setting_holds_in_another_working_directory(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codec = get_codec("uqdm", model="models/mine", reconstruct="denoise")
    monkeypatch.chdir("/")
    again = get_codec("uqdm", **codec.values)
    assert (again.setting, again.version) == (codec.setting, codec.version)


def test_names_of_models_stay_names(model: Path) -> None:
    (model.parent.parent / "uqdm-pixel").mkdir()  # a shipped model takes precedence over a folder of that name
    assert [absolute_name(name) for name in ("uqdm-pixel", "uqdm-pixl")] == ["uqdm-pixel", "uqdm-pixl"]
    assert absolute_name("link") == str(model.parent.parent / "link")
    assert codec_class("uqdm").parameters[0].check("uqdm-pixel") == "uqdm-pixel"


def test_an_unknown_home_folder_is_an_error_of_the_parameter() -> None:
    with pytest.raises(ParameterError, match=r"^model='~nobody-here/x': the home folder ~nobody-here is not known"):
        codec_class("uqdm").parameters[0].check("~nobody-here/x")


def test_a_model_within_a_codec_within_a_codec_is_absolute(model: Path) -> None:
    given = "uqdm:model=models/mine;reconstruct=denoise+flow"
    codec = get_codec("interpolate", codec=given, realistic="flow", lam="0")
    assert codec.values["codec"] == f"uqdm:model={model};reconstruct=denoise+flow"
    assert get_codec("interpolate").values["codec"] == "uqdm:reconstruct=denoise+ancestral"


def test_programs_named_by_a_relative_path_run(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = model.parent.parent / "my tools"
    tools.mkdir()
    (tools / "copy").write_text('#!/bin/sh\nshift\ncp "$1" "$2"\n')
    (tools / "copy").chmod(0o755)
    (tools / "table").touch()
    codec = get_codec(
        "program",
        encode="'my tools/copy' '--table=my tools/table' {input} {output}",
        decode="'~/my tools/copy' slow {input} {output}",
        suffix=".png",
    )
    assert codec.values["encode"] == f"'{tools}/copy' '--table={tools}/table' {{input}} {{output}}"
    assert codec.values["decode"] == f"'{tools}/copy' slow {{input}} {{output}}"
    monkeypatch.chdir("/")
    image = np.zeros((4, 4, 3), np.uint8)
    (decoded,) = codec.decode(codec.encode([image]))
    np.testing.assert_array_equal(decoded, image)
    plain = "cp {input} {output}"
    assert get_codec("program", encode=plain, decode=plain).values["encode"] == plain
