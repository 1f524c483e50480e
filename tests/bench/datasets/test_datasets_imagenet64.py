"""ImageNet64 from archives of the official layout: release, subset, duplicates left out, and what is missing."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from uqdm.bench.datasets import DataSetError, content_fingerprint, dataset_files, imagenet64, open_dataset

N, SUBSET = 9, 5


@pytest.fixture(autouse=True)
def _small_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    newer, older = imagenet64.RELEASES[50_000], imagenet64.RELEASES[49_999]
    monkeypatch.setattr(imagenet64, "RELEASES", {N: newer, N - 1: older})
    monkeypatch.setattr(imagenet64, "SUBSET", SUBSET)


@pytest.fixture
def images_uint8() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (N, 64, 64, 3), dtype=np.uint8)


def npz_bytes(images: np.ndarray) -> bytes:
    """In the layout of image-net.org: rows of red, then green, then blue planes, with labels."""
    buffer = io.BytesIO()
    np.savez(buffer, data=images.transpose(0, 3, 1, 2).reshape(len(images), -1), labels=np.arange(len(images)))
    return buffer.getvalue()


@pytest.fixture
def unpacked(tmp_path: Path, images_uint8: np.ndarray) -> Path:
    path = tmp_path / "val_data.npz"
    path.write_bytes(npz_bytes(images_uint8))
    return path


@pytest.fixture
def packed(tmp_path: Path, images_uint8: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / imagenet64.ZIP
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Imagenet64_val_npz/val_data.npz", npz_bytes(images_uint8))
    monkeypatch.setattr(imagenet64, "ZIP_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_the_first_images_of_the_file_are_the_subset(unpacked: Path, images_uint8: np.ndarray) -> None:
    dataset = open_dataset(f"imagenet64:{unpacked}")
    assert dataset.name == "imagenet64"
    assert dataset.ids == ("00000", "00001", "00002", "00003", "00004")
    np.testing.assert_array_equal([dataset.load(index) for index in range(SUBSET)], images_uint8[:SUBSET])
    assert dataset.fingerprint == content_fingerprint(images_uint8[:SUBSET])
    assert open_dataset(dataset.spec).fingerprint == dataset.fingerprint
    assert len(open_dataset(f"imagenet64:{unpacked}", limit=2)) == 2
    assert len(open_dataset(f"imagenet64:{unpacked}#all")) == N


def test_the_zip_has_the_same_images_and_its_hash_is_checked(packed: Path, unpacked: Path) -> None:
    from_zip, from_file = open_dataset(f"imagenet64:{packed}"), open_dataset(f"imagenet64:{unpacked}")
    assert from_zip.fingerprint == from_file.fingerprint
    assert from_zip.origin is not None
    assert from_file.origin is not None
    assert from_zip.origin.proof == "SHA-256 of Imagenet64_val_npz.zip as published"
    assert from_file.origin.proof == ""


def test_another_zip_is_refused(packed: Path) -> None:
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("more", b"")
    with pytest.raises(DataSetError, match=r"not the official archive .*Imagenet64_val_npz\.zip"):
        open_dataset(f"imagenet64:{packed}")


@pytest.mark.parametrize("form", ["npy", "txt"])
def test_positions_in_a_file_are_left_out(form: str, unpacked: Path, images_uint8: np.ndarray, tmp_path: Path) -> None:
    listed = tmp_path / f"removed.{form}"
    if form == "npy":
        np.save(listed, np.array([1, 0, 4]))
    else:
        listed.write_text("1\n0\n4\n")
    dataset = open_dataset(f"imagenet64:{unpacked}#removed={listed}")
    assert dataset.name == "imagenet64-deduplicated"
    assert dataset.ids == ("00002", "00003", "00005", "00006", "00007")
    np.testing.assert_array_equal([dataset.load(index) for index in range(SUBSET)], images_uint8[[2, 3, 5, 6, 7]])
    rest = open_dataset(f"imagenet64:{unpacked}#removed={listed},all")
    assert (rest.name, len(rest)) == ("imagenet64-deduplicated-all", N - 3)
    assert open_dataset(rest.spec).fingerprint == rest.fingerprint
    assert dataset_files(rest.spec) == [unpacked, listed]


def test_the_older_release_has_another_name(unpacked: Path, images_uint8: np.ndarray) -> None:
    unpacked.write_bytes(npz_bytes(images_uint8[: N - 1]))
    dataset = open_dataset(f"imagenet64:{unpacked}")
    assert dataset.name == "imagenet64-older"
    assert dataset.origin is not None
    assert dataset.origin.release == "imagenet64-val-older"


def test_an_unknown_number_of_images_is_refused(unpacked: Path, images_uint8: np.ndarray) -> None:
    unpacked.write_bytes(npz_bytes(images_uint8[:3]))
    with pytest.raises(DataSetError, match=r"3 images are no release of .*, which has 9 or 8"):
        open_dataset(f"imagenet64:{unpacked}")


@pytest.mark.parametrize("inside", ["", "Imagenet64_val_npz"])
def test_a_folder_with_the_file_is_accepted(inside: str, unpacked: Path, tmp_path: Path) -> None:
    root = tmp_path / "images"
    (root / inside).mkdir(parents=True)
    (root / inside / "val_data.npz").write_bytes(unpacked.read_bytes())
    assert open_dataset(f"imagenet64:{root}").fingerprint == open_dataset(f"imagenet64:{unpacked}").fingerprint
    with pytest.raises(DataSetError, match=r"the folder holds no .*val_data\.npz"):
        open_dataset(f"imagenet64:{tmp_path.parent}")


def test_the_default_path_is_the_data_folder(packed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UQDM_DATA", str(tmp_path))
    assert dataset_files("imagenet64") == [packed]
    assert open_dataset("imagenet64:#all").name == "imagenet64-all"
    monkeypatch.setenv("UQDM_DATA", str(tmp_path / "data"))
    with pytest.raises(DataSetError, match=r"image-net\.org/data/downsample/Imagenet64_val_npz\.zip .*Put it into"):
        open_dataset("imagenet64")


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((N, 64, 64, 3), np.uint8), r"expected uint8 \[N, 12288\]"),
        (np.zeros((N, 12288), np.float32), r"expected uint8 \[N, 12288\], got float32"),
        (np.array([{}], object), "expected uint8"),
        (None, "holds no array 'data'"),
    ],
)
def test_an_array_of_another_type_shape_or_name_is_refused(
    array: np.ndarray | None, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "val_data.npz"
    np.savez(path, **({"images": np.zeros(3)} if array is None else {"data": array}))
    with pytest.raises(DataSetError, match=reason):
        open_dataset(f"imagenet64:{path}")


def test_a_cut_file_is_reported(unpacked: Path, images_uint8: np.ndarray) -> None:
    member = io.BytesIO()
    np.save(member, images_uint8.reshape(N, -1))
    with zipfile.ZipFile(unpacked, "w") as archive:
        archive.writestr("data.npy", member.getvalue()[: 3 * 12288])
    with pytest.raises(DataSetError, match=r"cut short: \d+ of 12288 bytes"):
        open_dataset(f"imagenet64:{unpacked}")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("#removed=", "not 'removed='"),
        ("#al", "come removed=FILE and all, not 'al'"),
        ("#removed={0}/none.npy", "cannot read positions"),
        ("#removed={0}/beyond.txt", "position 9, but there are 9 images"),
        ("#removed={0}/words.txt", "cannot read positions"),
        ("#removed={0}/real.npy", "not a list of whole numbers"),
        ("#removed={0}/pickle.npy", "cannot read positions"),
    ],
)
def test_wrong_options_are_named(options: str, reason: str, unpacked: Path, tmp_path: Path) -> None:
    (tmp_path / "beyond.txt").write_text("3 9\n")
    (tmp_path / "words.txt").write_text("three\n")
    np.save(tmp_path / "real.npy", np.array([1.5]))
    np.save(tmp_path / "pickle.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(DataSetError, match=reason):
        open_dataset(f"imagenet64:{unpacked}{options.format(tmp_path)}")
