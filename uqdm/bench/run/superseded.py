"""Moves the streams and pictures of shards that a run no longer has to ``superseded/``, and back.

``streams/`` and ``reconstructions/`` then hold the files of the present rows alone, so that users can read the whole
folders. A shard that is evaluated again, after its settings, version or images were others for a while, gets its files
back.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from uqdm.bench.run.layout import ShardFolder, shard_path, superseded_dir

_READ_BY_USERS = (ShardFolder.STREAMS, ShardFolder.RECONSTRUCTIONS)


def stored_path(run_dir: Path, folder: ShardFolder, codec: str, key: str) -> Path:
    """Where a shard's file is: in ``folder``, or else among the superseded ones; the former where it is in neither."""
    path = shard_path(run_dir, folder, codec, key)
    if not os.path.lexists(path):
        aside = shard_path(superseded_dir(run_dir), folder, codec, key)
        if os.path.lexists(aside):
            return aside
    return path


def arrange(run_dir: Path, codec: str, keys: Collection[str]) -> None:
    """Moves the files of a codec's shards so that its folders hold those with these ``keys``, and no others."""
    for folder in _READ_BY_USERS:
        current = run_dir / folder / codec
        aside = superseded_dir(run_dir) / folder / codec
        for path in _files(current):
            if path.stem not in keys:
                _move(path, aside)
        for path in _files(aside):
            if path.stem in keys and not os.path.lexists(current / path.name):
                _move(path, current)


def set_aside_others(run_dir: Path, keep: Collection[str]) -> None:
    """Moves the files of all codecs except ``keep``."""
    for folder in _READ_BY_USERS:
        for path in (run_dir / folder).glob("[!.]*/"):
            if path.is_dir() and path.name not in keep:
                arrange(run_dir, path.name, ())


def _files(folder: Path) -> list[Path]:
    """The Parquet files in a folder that readers would read; a folder of such a name is no file of the store."""
    return [path for path in folder.glob("[!.]*.parquet") if path.is_symlink() or not path.is_dir()]


def _move(path: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path.replace(folder / path.name)
