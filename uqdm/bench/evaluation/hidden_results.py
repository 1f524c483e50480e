"""Warnings of finished results that an evaluation is about to hide.

The rows of a codec are those of the settings and images of its last evaluation. Earlier measurements stay stored, but
their rows are left out. An evaluation says so before it starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from uqdm.bench.datasets import Images
from uqdm.bench.run.codec_settings import CodecSetting, parse_request, resolve
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.json_files import read_manifest
from uqdm.bench.run.layout import manifests_dir
from uqdm.bench.run.setting_families import AT
from uqdm.bench.run.targets import MEAN
from uqdm.text import shortened_list

Manifests = Mapping[str, Mapping[str, Any]]


def finished_manifests(run_dir: Path) -> dict[str, dict[str, Any]]:
    """The manifest of each evaluated codec of a run. One that cannot be read is left out, as its rows are."""
    found = {}
    for path in sorted(manifests_dir(run_dir).glob("*.json")):
        try:
            found[path.stem] = read_manifest(run_dir, path.stem)
        except ResultsError:
            continue
    return found


def hidden_results(
    manifests: Manifests, dataset: Images, settings: Mapping[str, Sequence[str]], *, prune: bool
) -> Iterator[str]:
    """A warning for each codec with finished results that an evaluation of these ``settings`` hides, with the remedy.

    With ``prune`` the caller has asked for the rows of the present request alone, so nothing is hidden by mistake.
    """
    if prune:
        return
    for codec, manifest in manifests.items():
        if codec in settings:
            left_out = [one for one in finished_settings(manifest) if one not in settings[codec]]
            if left_out:
                yield _settings_warning(codec, left_out)
    others = [codec for codec in manifests if codec not in settings]
    different = [codec for codec in others if manifests[codec]["dataset"]["fingerprint"] != dataset.fingerprint]
    if different:
        yield _images_warning(different, manifests[different[0]]["dataset"], dataset)


def named_settings(codec_settings: Sequence[CodecSetting]) -> list[str]:
    """The settings that a request names: their texts, and the targets of which searches are to find settings again."""
    return [_name(one.setting, None if one.target is None else one.target.text) for one in codec_settings]


def _name(setting: str, mean_target: str | None) -> str:
    return AT + mean_target if mean_target is not None and mean_target.startswith(MEAN) else setting


def finished_settings(manifest: Mapping[str, Any]) -> list[str]:
    """The settings of a manifest that were measured; one that a search for the mean found is named by its target.

    >>> finished_settings({"settings": [{"setting": "step=1", "skipped": None}, {"setting": "", "skipped": "no tool"}]})
    ['step=1']
    """
    measured = [one for one in manifest["settings"] if one["skipped"] is None]
    return [_name(one["setting"], (one.get("mean_found") or {}).get("target")) for one in measured]


def _settings_warning(codec: str, left_out: Sequence[str]) -> str:
    requests = [f"{codec}:{setting}" if setting else codec for setting in left_out]
    if len(requests) > 1 and set(left_out) <= set(_default_settings(codec)):
        requests = [codec]
    return (
        f"WARNING: {codec} was measured at {_listed(left_out)} before, which this command does not name: their rows "
        f"will be left out (the measurements stay stored). To keep them, add "
        + " ".join(f"--codec {request}" for request in requests)
    )


def _listed(settings: Sequence[str]) -> str:
    return shortened_list([setting or "its one setting" for setting in settings])


def _default_settings(codec: str) -> list[str]:
    """The settings that the codec's name alone stands for; none if that cannot be found out here."""
    try:
        return [one.setting for one in resolve([parse_request(codec)])[codec]]
    except (ValueError, LookupError, RuntimeError):
        return []


def _images_warning(codecs: Sequence[str], measured: Mapping[str, Any], dataset: Images) -> str:
    return (
        f"WARNING: {shortened_list(codecs)} finished earlier in this run on other images ({_images(measured)}), and "
        f"this command evaluates {dataset.name} ({len(dataset):,}): codecs on different images cannot be compared. "
        "Use the same --dataset and --limit, or another --out"
    )


def _images(measured: Mapping[str, Any]) -> str:
    n_images = measured.get("n_images")
    return measured["name"] + (f", {n_images:,}" if n_images is not None else "")
