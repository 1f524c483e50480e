"""What an evaluation left in a run's folder: its data set, opened again, and the shards of each codec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from uqdm.bench.datasets import DataSetError, Images, open_dataset
from uqdm.bench.file_identity import DAMAGED
from uqdm.bench.lazy_ids import IdRange
from uqdm.bench.run.codec_settings import CodecSetting, MeanFound
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.json_files import listed_shards, read_manifest
from uqdm.bench.run.merged import check_not_merged
from uqdm.bench.run.rows_reader import rows_files
from uqdm.bench.run.shard_store import ShardStore
from uqdm.bench.run.shards import Shard
from uqdm.codec import CodecUnavailableError, UnknownCodecError, codec_class


@dataclass(frozen=True)
class StoredCodec:
    """An evaluated codec: its settings in the order of their sweep, and the shards of those that ran."""

    name: str
    settings: tuple[str, ...]
    shards: tuple[Shard, ...]

    @property
    def holds_model(self) -> bool:
        """Whether construction of the codec is costly."""
        return any(shard.codec_setting.holds_model for shard in self.shards)

    @property
    def uses_gpu(self) -> bool:
        """Whether the codec computes on a GPU where there is one."""
        return any(shard.codec_setting.uses_gpu for shard in self.shards)


@dataclass(frozen=True)
class StoredRun:
    """An evaluated run."""

    dataset: Images
    store: ShardStore
    codecs: tuple[StoredCodec, ...]

    def rows(self, shard: Shard) -> pa.Table:
        """The rows of a shard; raises :class:`~uqdm.bench.run.errors.ResultsError` where they are gone or damaged."""
        try:
            return self.store.read(shard)
        except DAMAGED as error:
            raise ResultsError(f"{error}; evaluate {shard.codec_setting.name} again") from error


def open_run(run_dir: Path, dataset: Images | None = None) -> StoredRun:
    """Reads a run's manifests, and opens its data set as they name it if ``dataset`` is None.

    Raises :class:`~uqdm.bench.run.errors.ResultsError` where something is missing, where codecs were evaluated on
    different images, and where the data set is no longer what was evaluated.
    """
    check_not_merged(run_dir, "score")
    manifests = {path.stem: read_manifest(run_dir, path.stem) for path in rows_files(run_dir)}
    facts = _dataset_facts(manifests)
    dataset = dataset or _open(facts)
    if dataset.fingerprint != facts["fingerprint"]:
        raise ResultsError(
            f"data set {facts['name']!r} ({facts['spec']}) is not what was evaluated: its fingerprint is "
            f"{dataset.fingerprint}, and was {facts['fingerprint']}; restore its images, or evaluate again"
        )
    codecs = tuple(_codec(dataset, manifest) for manifest in manifests.values())
    return StoredRun(dataset, ShardStore(run_dir), codecs)


def _dataset_facts(manifests: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    by_fingerprint: dict[str, list[str]] = {}
    for name, manifest in manifests.items():
        by_fingerprint.setdefault(manifest["dataset"]["fingerprint"], []).append(name)
    if len(by_fingerprint) > 1:
        listed = "; ".join(f"{fingerprint}: {', '.join(names)}" for fingerprint, names in by_fingerprint.items())
        raise ResultsError(
            f"codecs were evaluated on different images ({listed}); evaluate them on the same, or into other folders"
        )
    facts: dict[str, Any] = next(iter(manifests.values()))["dataset"]
    if "spec" not in facts:
        raise ResultsError("the run does not say where its images are (an older release wrote it); evaluate again")
    return facts


def _open(facts: Mapping[str, Any]) -> Images:
    try:
        return open_dataset(facts["spec"], limit=facts["n_images"])
    except (DataSetError, LookupError) as error:
        raise ResultsError(f"the originals are needed to score pictures: {error}") from error


def _codec(dataset: Images, manifest: Mapping[str, Any]) -> StoredCodec:
    ran = [setting for setting in manifest["settings"] if setting["skipped"] is None]
    shards = [shard for setting in ran for shard in _shards(dataset, manifest, setting)]
    return StoredCodec(manifest["codec"], tuple(setting["setting"] for setting in ran), tuple(shards))


def _shards(dataset: Images, manifest: Mapping[str, Any], setting: Mapping[str, Any]) -> Sequence[Shard]:
    name = manifest["codec"]
    codec_setting = CodecSetting(name, setting["parameters"], setting["setting"], setting["codec_version"])
    found = setting.get("mean_found")
    codec_setting = replace(codec_setting, mean_found=None if found is None else MeanFound(**found), **_needs(name))
    shards = []
    for facts in listed_shards(manifest, setting["setting"]):
        ids = IdRange(dataset.ids, facts.start, facts.stop)
        # By the name that it was measured under: a complete spec may give its images a longer one.
        shard = Shard(facts.dataset, facts.fingerprint, facts.start, ids, codec_setting, manifest["keep_streams"])
        if shard.key != facts.key:
            raise ResultsError(
                f"the rows of {name} are not of this release, or its images have other names now; evaluate it again"
            )
        shards.append(shard)
    return shards


def _needs(name: str) -> dict[str, Any]:
    """What workers must know of a codec before they make it; nothing of one that is not installed here."""
    try:
        codec = codec_class(name)
    except (CodecUnavailableError, UnknownCodecError):
        return {}
    return {"holds_model": codec.holds_model, "uses_gpu": codec.uses_gpu}
