"""Opening a data set by its spec, and what its fingerprint covers."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from uqdm.bench import datasets
from uqdm.bench.datasets import (
    DataSetError,
    UnknownDataSetError,
    content_fingerprint,
    dataset_kinds,
    open_dataset,
    spec_of,
)
from uqdm.bench.datasets._registry import DATA_SETS

OTHER_PACKAGE = """
import numpy as np
from uqdm.bench.datasets import DataSet

class Grey(DataSet):
    kind = "grey"
    argument = "LEVEL"

    @classmethod
    def open(cls, argument, limit):
        return cls("grey", f"grey:{argument}", ["only"])

    def read(self, index):
        return np.full((5, 4, 3), int(self.spec.partition(":")[2]), np.uint8)
"""


def test_the_kinds_are_the_modules_of_the_package() -> None:
    assert {"demo", "folder", "npz"} <= set(dataset_kinds())
    assert not any(kind.startswith("_") for kind in dataset_kinds())


@pytest.mark.parametrize(
    ("spec", "hint"),
    [("demmo", "did you mean demo"), ("flder:x", "did you mean folder"), ("images.npz", "'npz:images.npz'")],
)
def test_an_unknown_kind_gets_a_suggestion_and_the_list(spec: str, hint: str) -> None:
    with pytest.raises(UnknownDataSetError) as caught:
        open_dataset(spec)
    assert hint in str(caught.value)
    known = (
        "cifar10, clic2020-pro-valid, clic2020-test, demo, div2k-val, folder, imagenet64, kodak, mscoco-30k-256, npz"
    )
    assert f"known: {known}, tecnick" in str(caught.value)


def test_a_bare_path_gets_a_hint_at_its_spec(tmp_path: Path) -> None:
    with pytest.raises(UnknownDataSetError, match=f"'folder:{tmp_path}'"):
        open_dataset(str(tmp_path))


def test_paths_of_images_become_specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("photos", "demo", "a#b"):
        (tmp_path / name).mkdir()
    (tmp_path / "some.npz").touch()
    (tmp_path / "file").touch()
    expected = {
        "photos": "folder:photos",
        "photos/": "folder:photos/",
        "~/photos": "folder:~/photos",
        str(tmp_path / "photos"): f"folder:{tmp_path}/photos",
        "a#b": "folder:a#b",
        "some.npz": "npz:some.npz",
        "some.npz#test": "npz:some.npz#test",
        "demo": "demo",  # the data set
        "./demo": "folder:./demo",
        "folder:photos": "folder:photos",
    }
    assert {text: spec_of(text) for text in expected} == expected
    assert [spec_of(text) for text in ("absent", "absent.npz", "file", "")] == ["absent", "absent.npz", "file", ""]


@pytest.mark.parametrize(("spec", "usage"), [("folder", "'folder:PATH'"), ("demo:8", "'demo'"), ("npz:", "'npz:PATH")])
def test_a_spec_with_a_missing_or_extra_argument_gets_its_usage(spec: str, usage: str) -> None:
    with pytest.raises(DataSetError, match=usage):
        open_dataset(spec)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(DataSetError, match="at least one image"):
        open_dataset("demo", limit=limit)


@pytest.mark.parametrize("index", [-1, 3])
def test_an_index_out_of_range_is_an_index_error(index: int) -> None:
    with pytest.raises(IndexError, match="there are 3"):
        open_dataset("demo", limit=3).load(index)


def test_the_fingerprint_is_the_documented_hash() -> None:
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    documented = hashlib.sha256(b"\x02\0\0\0\x03\0\0\0" + bytes(range(18))).hexdigest()[:16]
    assert content_fingerprint([image]) == f"1-{documented}"


def test_the_fingerprint_depends_on_pixels_shapes_and_order() -> None:
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    changed = image.copy()
    changed[3, 5, 2] ^= 1
    sets = [[image], [changed], [image.reshape(6, 4, 3)], [image, changed], [changed, image], [image, image]]
    assert len({content_fingerprint(images) for images in sets}) == len(sets)


def test_a_new_module_adds_a_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "grey.py").write_text(OTHER_PACKAGE)
    monkeypatch.setattr(datasets, "__path__", [*datasets.__path__, str(tmp_path)])
    DATA_SETS.forget()
    try:
        assert "grey" in dataset_kinds()
        assert open_dataset("grey:7").load(0).sum() == 5 * 4 * 3 * 7
    finally:
        DATA_SETS.forget()
        sys.modules.pop(f"{datasets.__name__}.grey", None)


def test_another_package_adds_a_kind_by_entry_point(tmp_path: Path) -> None:
    information = tmp_path / "greys-1.0.dist-info"
    information.mkdir()
    (tmp_path / "greys.py").write_text(OTHER_PACKAGE)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: greys\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[uqdm.datasets]\ngrey = greys:Grey\n")
    script = "from uqdm.bench.datasets import open_dataset; print(open_dataset('grey:7').load(0).sum())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == str(5 * 4 * 3 * 7), done.stderr
