"""Guards how codecs and settings are named on the command line and in the configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from uqdm.bench.run.codec_settings import Request, format_request, parse_request, requests_from_mapping, resolve
from uqdm.codec import ParameterError, UnknownCodecError

pytestmark = pytest.mark.usefixtures("toys")


@pytest.mark.parametrize("text", ["png", "jpeg:quality=50", "jpeg2000:layers=20,10,5,effort=3", "toy-raw:"])
def test_text_survives_reading_and_writing(text: str) -> None:
    assert format_request(parse_request(text)) == text


@pytest.mark.parametrize("text", ["", ":quality=3", "jpeg:50", "jpeg:=50", "jpeg:quality=1,quality=2"])
def test_malformed_text_is_refused_by_name(text: str) -> None:
    with pytest.raises(ParameterError, match="codec"):
        parse_request(text)


@pytest.mark.parametrize("settings", [[], 5, "quality=5", [{"quality": 5}, 6]])
def test_malformed_configuration_is_refused_by_name(settings: object) -> None:
    with pytest.raises(ParameterError, match="codec jpeg"):
        requests_from_mapping({"jpeg": settings})


def test_a_codec_without_settings_runs_its_sweep() -> None:
    assert [one.setting for one in resolve([Request("toy-raw")])["toy-raw"]] == ["drop=0", "drop=4"]


def test_settings_named_twice_run_once() -> None:
    requests = [parse_request(text) for text in ("toy-raw:drop=4", "toy-raw:drop=4", "toy-raw")]
    assert [one.setting for one in resolve(requests)["toy-raw"]] == ["drop=4", "drop=0"]


def test_text_and_typed_parameters_mean_the_same() -> None:
    assert resolve([parse_request("toy-raw:drop=3")]) == resolve([Request("toy-raw", {"drop": 3})])


def test_unknown_codec_and_bad_parameter_stop_before_work() -> None:
    with pytest.raises(UnknownCodecError, match="did you mean toy-raw"):
        resolve([Request("toy-row")])
    with pytest.raises(ParameterError, match="at most 7"):
        resolve([Request("toy-raw", {"drop": 8})])


def test_a_setting_says_whether_its_codec_holds_a_model_and_uses_a_gpu() -> None:
    """Codecs that run a network in torch use a GPU; classic ones do not."""
    found = {name: resolve([Request(name)])[name][0] for name in ("uqdm", "vdm", "interpolate", "diffc", "jpeg")}
    assert [name for name, one in found.items() if one.holds_model] == ["uqdm", "vdm", "interpolate", "diffc"]
    assert [name for name, one in found.items() if one.uses_gpu] == ["uqdm", "vdm", "interpolate"]


def test_an_absent_codec_has_a_setting_with_reason_and_remedy() -> None:
    found = resolve([Request("toy-absent")])["toy-absent"]
    assert [one.setting for one in found] == ["drop=0", "drop=4"]
    assert all("libtoy is not installed; install it" in (one.missing or "") for one in found)


def test_a_codec_that_does_not_import_has_a_setting_with_the_reason(
    toys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toy_codecs.Raw", None)
    import uqdm.codec

    def fail(name: str) -> None:
        raise uqdm.codec.CodecUnavailableError(f"codec {name!r} does not import: No module named 'libtoy'")

    monkeypatch.setattr("uqdm.bench.run.codec_settings.codec_class", fail)
    (found,) = resolve([Request("toy-raw", {"drop": 3})])["toy-raw"]
    assert (found.setting, found.version) == ("drop=3", None)
    assert "libtoy" in (found.missing or "")


def test_a_damaged_file_that_a_setting_names_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for model in (tmp_path, tmp_path / "absent"):
        with pytest.raises((ValueError, LookupError, OSError), match=re.escape(str(model))):
            resolve([parse_request(f"uqdm:model={model}"), parse_request("png")])
