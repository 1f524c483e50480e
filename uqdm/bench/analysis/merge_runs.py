"""Merges runs on the same images, measured by the same protocol, into one folder that is read like that of a run.

Rows are copied, and summary, plots and report are made anew of all rows. The merged runs are not changed.

A codec that several runs have is one codec in the merged folder if nothing says otherwise: where two runs have the same
setting, version, files and pictures must be equal, and settings of one model or program must have one version. If not,
it stands once for each run, with the name of the run: ``jpeg (before)``, ``jpeg (after)``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from uqdm.bench.analysis.file_names import safe
from uqdm.bench.analysis.variants import Variant, variant_of
from uqdm.bench.file_identity import write_stored
from uqdm.bench.metrics import all_metrics, rows_schema, set_bases
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.json_files import read_json, read_manifest, read_scores
from uqdm.bench.run.layout import (
    evaluation_path,
    imported_dir,
    manifest_path,
    merged_path,
    originals_path,
    rows_path,
    scores_path,
)
from uqdm.bench.run.merged import check_not_merged, is_merged
from uqdm.bench.run.provenance import provenance, with_provenance
from uqdm.bench.run.rows_reader import rows_files, rows_provenance, rows_with
from uqdm.bench.run.rows_writer import writing_rows
from uqdm.bench.run.run_id import ensure_run_id, read_run_id
from uqdm.bench.schema import ROW_FORMAT, SHARD_FORMAT, STATUS_REFERENCE
from uqdm.text import printable

_MEASURED = ["image_index", "point", "reconstruction", "status", "codec_version", "file_bits", "mse"]
_MEASURED += ["picture_sha256", "stream_sha256"]
"""Columns in which the rows of one measurement agree on every machine. Metrics follow from the pictures."""
_LONGEST_NAME = 80  # characters of the name of a folder


@dataclass(frozen=True)
class _Run:
    """A run to merge: its name beside the others, and what its files say."""

    name: str
    run_dir: Path
    manifests: Mapping[str, Mapping[str, Any]]
    scores: Mapping[str, Any]

    @property
    def dataset(self) -> Mapping[str, Any]:
        """Name, fingerprint and number of its images."""
        found: Mapping[str, Any] = next(iter(self.manifests.values()))["dataset"]
        return found

    def __str__(self) -> str:
        return str(self.run_dir)


@dataclass(frozen=True)
class _Part:
    """A codec at one setting in one run: its entry in the manifest, and its rows."""

    run: _Run
    codec: str
    listed: Mapping[str, Any]
    rows: pa.Table

    @property
    def setting(self) -> str:
        """Canonical text of the parameters."""
        return str(self.listed["setting"])

    @property
    def variant(self) -> Variant:
        """The codec with its model or program."""
        return variant_of(self.codec, self.listed.get("label"), self.setting)

    @property
    def is_skipped(self) -> bool:
        """Whether the codec could not run there."""
        return self.listed["skipped"] is not None

    @property
    def n_values(self) -> int:
        """How many values of metrics the rows have."""
        return sum(len(self.rows) - self.rows[metric.name].null_count for metric in all_metrics())

    def agrees(self, other: _Part) -> bool:
        """Whether two runs may have measured one codec: the same rows at the same setting, or one version."""
        if self.is_skipped or other.is_skipped:
            return True
        if self.setting != other.setting:
            is_other = self.variant != other.variant
            return is_other or self.listed["codec_version"] == other.listed["codec_version"]
        same_label = self.listed.get("label") == other.listed.get("label")
        return same_label and _measured(self.rows).equals(_measured(other.rows))


def _measured(rows: pa.Table) -> pa.Table:
    keys = [(name, "ascending") for name in _MEASURED[:3]]
    return rows.select(_MEASURED).sort_by(keys).combine_chunks().replace_schema_metadata()


def merge_runs(runs: Sequence[Path], folder: Path) -> list[str]:
    """Merges scored runs into ``folder``, and returns the names that they have there.

    The folder is made anew if it is that of an earlier merge, and in one step. Raises
    :class:`~uqdm.bench.run.errors.ResultsError`, with the remedy, where runs were made on different images or by
    different protocols, and where the folder holds anything else. All rows of one codec are held in memory.
    """
    _check_place(folder)
    found = [_read(run, name) for run, name in zip(runs, run_names(runs), strict=True)]
    _check_images(found)
    _check_protocols(found)
    with _made_anew(folder) as new:
        run_id = ensure_run_id(new)
        merged = [codec for name in _codecs(found) for codec in _merged_codecs(name, found)]
        for codec, parts in merged:
            _write_codec(new, folder, run_id, (codec, parts), found[0])
        _write_json(scores_path(new), _scores(found, merged, run_id))
        _write_json(evaluation_path(new), _evaluation(found[0], merged, run_id))
        _write_json(merged_path(new), {"run_id": run_id, "runs": [_entry(run, folder) for run in found]})
        if originals_path(found[0].run_dir).is_file():
            shutil.copyfile(originals_path(found[0].run_dir), originals_path(new))
        _copy_imported(found, new)
    return [run.name for run in found]


def merged_folder(runs: Sequence[Path]) -> Path:
    """Where runs are merged to if no folder is named: beside the first one.

    >>> merged_folder([Path("results/before"), Path("results/after")])
    PosixPath('results/before+after')
    """
    names = [name.replace("/", "-") for name in run_names(runs)]
    joined = "+".join(names)
    name = joined if len(joined) <= _LONGEST_NAME else f"{names[0][:_LONGEST_NAME]}+{len(names) - 1}"
    return (runs[0] if runs[0].name else runs[0].resolve()).parent / name


def run_names(runs: Sequence[Path]) -> list[str]:
    """The last parts of the runs' paths, as many as distinguish them; raises ResultsError for one named twice.

    >>> run_names([Path("monday/demo"), Path("friday/demo"), Path("friday/kodak")])
    ['monday/demo', 'friday/demo', 'friday/kodak']
    """
    paths = [run.resolve() for run in runs]
    for run, path in zip(runs, paths, strict=True):
        if paths.count(path) > 1:
            raise ResultsError(f"{run}: named twice; name each run once")
    parts = [path.parts[1:] for path in paths]
    depth = next(n for n in range(1, max(map(len, parts)) + 1) if len({each[-n:] for each in parts}) == len(parts))
    return [printable("/".join(each[-depth:])) for each in parts]


# ---- what is read and checked --------------------------------------------------------------------------------


def _read(run_dir: Path, name: str) -> _Run:
    check_not_merged(run_dir, "name")
    manifests = {path.stem: read_manifest(run_dir, path.stem) for path in rows_files(run_dir)}
    found = _Run(name, run_dir, manifests, read_scores(run_dir))
    contents = {manifest["dataset"]["fingerprint"] for manifest in manifests.values()}
    if len(contents) > 1:
        raise ResultsError(f"{run_dir}: its codecs were evaluated on different images; evaluate them on the same")
    return found


def _check_images(runs: Sequence[_Run]) -> None:
    first = runs[0]
    for run in runs[1:]:
        if run.dataset["fingerprint"] != first.dataset["fingerprint"]:
            raise ResultsError(
                f"different images: {_images(first)}, {_images(run)}; evaluate both on the same images, with the "
                "same limit"
            )


def _images(run: _Run) -> str:
    data = run.dataset
    return f"{run} has {data['n_images']} of {data['name']} (fingerprint {data['fingerprint']})"


def _check_protocols(runs: Sequence[_Run]) -> None:
    """Raises ResultsError where numbers of one name in two runs were not computed in one way."""
    first = runs[0]
    for run in runs[1:]:
        formats = [min(_row_format(one), SHARD_FORMAT) for one in (first, run)]
        if formats[0] != formats[1]:
            older = min((first, run), key=_row_format)
            raise ResultsError(
                f"rows of different formats: {formats[0]} in {first}, {formats[1]} in {run}; evaluate {older} again "
                "with this release"
            )
        for what, one, other in _differences(first, run):
            raise ResultsError(
                f"different protocols: {what} is {one} in {first} and {other} in {run}; score both with one release, "
                f"the same weights and the same --set-images: uqdm bench score --run {run}"
            )


def _row_format(run: _Run) -> int:
    return min(int(manifest.get("row_format", 0)) for manifest in run.manifests.values())


def _differences(one: _Run, other: _Run) -> Iterator[tuple[str, Any, Any]]:
    """What differs in the protocols of the metrics that both runs have."""
    versions = [run.scores.get("metrics", {}) for run in (one, other)]
    for name in versions[0]:
        if name in versions[1] and versions[0][name] != versions[1][name]:
            yield f"the version of {name}", versions[0][name], versions[1][name]
    names = {
        name: what
        for basis in set_bases()
        for name, what in (
            (basis.extractor, "the feature extractor"),
            (basis.resize, "the size for the feature extractor"),
            (basis.n, "the number of images in metrics of sets"),
        )
    }
    for name, what in names.items():
        values = [_of_sets(run, name) for run in (one, other)]
        if all(values) and values[0] != values[1]:
            one_has, other_has = (", ".join(map(str, sorted(found))) for found in values)
            yield what, one_has, other_has


def _of_sets(run: _Run, column: str) -> set[Any]:
    """The values of a column in the metrics of sets."""
    lines = [line for line in run.scores.get("sets", ()) if line.get("status") != STATUS_REFERENCE]
    return {line[column] for line in lines if line.get(column) is not None}


# ---- codecs --------------------------------------------------------------------------------------------------


def _codecs(runs: Sequence[_Run]) -> list[str]:
    return sorted({codec for run in runs for codec in run.manifests})


def _merged_codecs(codec: str, runs: Sequence[_Run]) -> list[tuple[str, list[_Part]]]:
    """The codec of each run, or one for several; each with its name and its settings."""
    groups: list[list[_Part]] = []
    for run in runs:
        parts = _parts(run, codec) if codec in run.manifests else []
        if not parts:
            continue
        fitting = (group for group in groups if all(one.agrees(other) for one in group for other in parts))
        group = next(fitting, None)
        if group is None:
            groups.append(parts)
        else:
            group += parts
    if len(groups) == 1:
        return [(codec, _each_setting_once(groups[0]))]
    return [(f"{codec} ({group[0].run.name})".replace("/", "-"), _each_setting_once(group)) for group in groups]


def _parts(run: _Run, codec: str) -> list[_Part]:
    names = rows_schema().names
    table = rows_with(rows_path(run.run_dir, codec), names).read(names)
    return [
        _Part(run, codec, listed, table.filter(pc.equal(table["setting"], listed["setting"])))
        for listed in run.manifests[codec]["settings"]
    ]


def _each_setting_once(parts: Sequence[_Part]) -> list[_Part]:
    """Of several equal measurements of a setting the one with the most metrics, or else the first."""
    found: dict[str, _Part] = {}
    for part in parts:
        known = found.get(part.setting)
        if known is None or (known.is_skipped, -known.n_values) > (part.is_skipped, -part.n_values):
            found[part.setting] = part
    return list(found.values())


# ---- what is written -----------------------------------------------------------------------------------------


def _write_codec(new: Path, folder: Path, run_id: str, codec: tuple[str, Sequence[_Part]], first: _Run) -> None:
    """Rows and manifest of a codec, which ``new`` holds until it becomes ``folder``."""
    name, parts = codec
    origin = rows_provenance(parts[0].run.run_dir)[parts[0].codec]
    schema = with_provenance(rows_schema(), {**origin, "run_id": run_id, "codec": name})
    with writing_rows(rows_path(new, name), schema) as writer:
        for part in parts:
            writer.write(_renamed(part.rows, {"codec": name, "dataset": first.dataset["name"]}))
    facts = {**_manifest_of(parts[0]), **_outcome(name, parts), "run_id": run_id, "dataset": dict(first.dataset)}
    settings = [{**part.listed, "taken_from": _taken_from(part, folder)} for part in parts]
    _write_json(manifest_path(new, name), {**facts, "settings": settings})


def _manifest_of(part: _Part) -> dict[str, Any]:
    """The manifest of a codec in its run."""
    return dict(part.run.manifests[part.codec])


def _outcome(name: str, parts: Sequence[_Part]) -> dict[str, Any]:
    shards = [shard for part in parts for shard in part.listed["shards"]]
    counts = {count: sum(shard.get(count, 0) for shard in shards) for count in ("ok", "failed")}
    reason = next((found for part in parts if (found := _manifest_of(part).get("reason"))), None)
    return {"codec": name, **counts, "skipped_settings": sum(part.is_skipped for part in parts), "reason": reason}


def _taken_from(part: _Part, folder: Path) -> dict[str, Any]:
    manifest = _manifest_of(part)
    return {
        "run": _relative(part.run.run_dir, folder),
        "codec": part.codec,
        "dataset": manifest["dataset"]["name"],
        "row_format": manifest.get("row_format", 0),
    }


def _relative(run_dir: Path, folder: Path) -> str:
    return os.path.relpath(run_dir.resolve(), folder.resolve())


def _renamed(rows: pa.Table, values: Mapping[str, str]) -> pa.Table:
    """Rows with one value in each of some columns."""
    for column, value in values.items():
        place = rows.column_names.index(column)
        rows = rows.set_column(place, rows.schema.field(column), pa.array([value] * len(rows), pa.string()))
    return rows


def _scores(runs: Sequence[_Run], merged: Sequence[tuple[str, Sequence[_Part]]], run_id: str) -> dict[str, Any]:
    """The metrics of sets of the settings, and of originals alone the first ones."""
    lines: list[dict[str, Any]] = []
    for name, parts in merged:
        for part in parts:
            own = {"codec": part.codec, "setting": part.setting}
            found = [line for line in part.run.scores.get("sets", ()) if own.items() <= line.items()]
            lines += [{**line, "codec": name} for line in found if line.get("status") != STATUS_REFERENCE]
    references: dict[tuple[Any, Any], dict[str, Any]] = {}
    for run in runs:
        for line in run.scores.get("sets", ()):
            if line.get("status") == STATUS_REFERENCE:
                references.setdefault((line.get("codec"), line.get("setting")), line)
    metrics = {name: version for run in reversed(runs) for name, version in run.scores.get("metrics", {}).items()}
    sets = [*lines, *references.values()]
    about = {"run_id": run_id, "dataset": dict(runs[0].scores.get("dataset", {})), "metrics": metrics}
    return {**about, "unscored": {}, "sets": sets, "seconds": 0.0, "provenance": provenance()}


def _evaluation(first: _Run, merged: Sequence[tuple[str, Sequence[_Part]]], run_id: str) -> dict[str, Any]:
    path = evaluation_path(first.run_dir)
    origin = read_json(path).get("origin") if path.is_file() else None
    codecs = {name: _outcome(name, parts) for name, parts in merged}
    facts = {"dataset": dict(first.dataset), "run_id": run_id, "row_format": ROW_FORMAT, "origin": origin}
    return {"codecs": codecs, "seconds": {}, "slowest_shards": [], **facts}


def _entry(run: _Run, folder: Path) -> dict[str, Any]:
    return {"name": run.name, "run": _relative(run.run_dir, folder), "run_id": read_run_id(run.run_dir)}


def _copy_imported(runs: Sequence[_Run], new: Path) -> None:
    """Copies the imported curves of all runs; different files of one name get the names of the runs."""
    for run in runs:
        for path in sorted(imported_dir(run.run_dir).glob("[!.]*.csv")):
            target = imported_dir(new) / path.name
            if target.exists() and target.read_bytes() != path.read_bytes():
                target = target.with_stem(f"{path.stem}-{safe(run.name)}")
            write_stored(target, path.read_bytes())


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_stored(path, (json.dumps(content, indent=1) + "\n").encode())


# ---- the folder ----------------------------------------------------------------------------------------------


def _check_place(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not is_merged(folder):
        raise ResultsError(f"{folder}: holds files that are not of an earlier merge; name another folder with --out")
    if folder.exists() and not folder.is_dir():
        raise ResultsError(f"{folder}: a file; name a folder, or a page that ends with .html")


@contextlib.contextmanager
def _made_anew(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of ``folder`` if the block ends without an error."""
    ends = f"{folder.resolve().name}-{os.urandom(4).hex()}"
    new, old = (folder.resolve().with_name(f".{word}-{ends}") for word in ("merging", "merged"))
    new.mkdir(parents=True)
    try:
        yield new
        if folder.exists():
            folder.resolve().rename(old)
        new.rename(folder.resolve())
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)
