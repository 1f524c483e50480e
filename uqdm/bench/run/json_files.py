"""Reads the JSON files of a run: manifests, ``evaluation.json`` and ``scores.json``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from uqdm.bench.datasets import Origin
from uqdm.bench.file_identity import DAMAGED, ShardFacts, check_regular
from uqdm.bench.run.errors import EVALUATE_AGAIN, ResultsError, evaluate_remedy, score_remedy
from uqdm.bench.run.layout import evaluation_path, manifest_path, manifests_dir, scores_path
from uqdm.bench.run.run_id import check_run_id
from uqdm.bench.run.unscored import reasons_in_text
from uqdm.bench.schema import SHARD_FORMAT


def read_json(path: Path) -> dict[str, Any]:
    """A file's JSON object; raises :class:`~uqdm.bench.run.errors.ResultsError` where it does not read as one."""
    try:
        check_regular(path)
        content = json.loads(path.read_text(encoding="utf-8"))
    except (*DAMAGED, RecursionError) as error:
        raise ResultsError(f"{path}: does not read as JSON ({error}); {EVALUATE_AGAIN}") from error
    if not isinstance(content, dict):
        raise ResultsError(f"{path}: not an object of JSON; {EVALUATE_AGAIN}")
    return content


def read_manifest(run_dir: Path, codec: str) -> dict[str, Any]:
    """What a codec's finished evaluation wrote: its settings with parameters, versions and shards."""
    path = manifest_path(run_dir, codec)
    if not path.is_file():
        raise ResultsError(f"no {path}; {evaluate_remedy(run_dir)}")
    manifest = read_json(path)
    lacking = [name for name in ("codec", "dataset", "settings") if name not in manifest]
    if lacking or manifest["codec"] != codec:
        reason = f"it lacks {', '.join(lacking)}" if lacking else f"it is that of {manifest['codec']!r}"
        raise ResultsError(f"{path}: not the manifest of {codec!r}: {reason}; {EVALUATE_AGAIN}")
    check_run_id(path, run_dir, manifest.get("run_id"))
    return manifest


def read_labels(run_dir: Path) -> dict[tuple[str, str], str]:
    """The label of each codec and setting of a run that has one, from the manifests."""
    found: dict[tuple[str, str], str] = {}
    for path in sorted(manifests_dir(run_dir).glob("*.json")):
        for listed in read_manifest(run_dir, path.stem)["settings"]:
            if isinstance(listed.get("label"), str):
                found[path.stem, listed["setting"]] = listed["label"]
    return found


def listed_shards(manifest: Mapping[str, Any], setting: str | None = None) -> Iterator[ShardFacts]:
    """The shards in a manifest, of one setting or of all, in the order of settings and images.

    Shards of a merged run are those of the run that a setting is ``taken_from`` (see :mod:`uqdm.bench.run.merged`).
    """
    dataset = manifest["dataset"]
    for listed in manifest["settings"]:
        if setting not in (None, listed["setting"]):
            continue
        taken_from = listed.get("taken_from", {})
        for shard in listed["shards"]:
            yield ShardFacts(
                row_format=min(taken_from.get("row_format", manifest.get("row_format", 0)), SHARD_FORMAT),
                key=shard["key"],
                dataset=taken_from.get("dataset", dataset["name"]),
                fingerprint=dataset["fingerprint"],
                start=shard["start"],
                stop=shard["stop"],
                codec=taken_from.get("codec", manifest["codec"]),
                codec_version=listed["codec_version"],
                setting=listed["setting"],
            )


def read_scores(run_dir: Path) -> dict[str, Any]:
    """What a finished scoring wrote; its ``sets`` are metrics of sets, a row for each row of the summary.

    ``unscored`` is a dictionary or None in each of these, also where an older release wrote text.
    """
    path = scores_path(run_dir)
    if not path.is_file():
        raise ResultsError(f"no {path}; {score_remedy(run_dir)}")
    scores = read_json(path)
    check_run_id(path, run_dir, scores.get("run_id"))
    for line in scores.get("sets", ()):
        if isinstance(line.get("unscored"), str):
            line["unscored"] = reasons_in_text(line["unscored"])
    return scores


def read_origin(run_dir: Path) -> Origin | None:
    """Which release a run's images are of; None if that is not known."""
    path = evaluation_path(run_dir)
    found = read_json(path).get("origin") if path.is_file() else None
    return None if found is None else Origin(**found)
