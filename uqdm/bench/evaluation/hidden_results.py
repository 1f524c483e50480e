"""Warnings of finished results that an evaluation is about to hide.

The rows of a codec are those of the settings and images of its last evaluation. Earlier measurements stay stored, but
their rows are left out. An evaluation says so before it starts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from uqdm.bench.datasets import Images
from uqdm.bench.run.codec_settings import TARGETS_JOINED_BY, CodecSetting, parse_request, resolve
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.json_files import read_manifest
from uqdm.bench.run.layout import manifests_dir
from uqdm.bench.run.setting_families import AT
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
            left_out = hidden_settings(manifest, settings[codec])
            if left_out:
                yield _settings_warning(codec, left_out)
    others = [codec for codec in manifests if codec not in settings]
    different = [codec for codec in others if manifests[codec]["dataset"]["fingerprint"] != dataset.fingerprint]
    if different:
        yield _images_warning(different, manifests[different[0]]["dataset"], dataset)


def named_settings(codec_settings: Sequence[CodecSetting]) -> list[str]:
    """The settings that a request names: their texts; of a search for the mean the target, as in ``@mean_bpp=0.5``."""
    searched = [one.target for one in codec_settings if one.target is not None and one.target.of_mean]
    others = [one.setting for one in codec_settings if one.target not in searched]
    return [*others, *(AT + target.text for target in searched)]


def hidden_settings(manifest: Mapping[str, Any], named: Collection[str]) -> list[str]:
    """The settings of a manifest that were measured and are not named; one that a search found, by its targets.

    >>> measured = [{"setting": "step=1", "skipped": None}, {"setting": "", "skipped": "no tool"}]
    >>> hidden_settings({"settings": measured}, ["step=2"])
    ['step=1']
    >>> found = {"setting": "step=3", "skipped": None, "mean_found": {"target": "mean_bpp=1; mean_bpp=2"}}
    >>> hidden_settings({"settings": [found]}, ["@mean_bpp=1"]), hidden_settings({"settings": [found]}, ["step=3"])
    (['@mean_bpp=2'], [])
    """
    hidden: list[str] = []
    for one in manifest["settings"]:
        if one["skipped"] is None and one["setting"] not in named:
            found = (one.get("mean_found") or {}).get("target")
            names = [one["setting"]] if found is None else [AT + target for target in found.split(TARGETS_JOINED_BY)]
            hidden += [name for name in names if name not in named]
    return hidden


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
