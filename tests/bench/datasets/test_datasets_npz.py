"""Images in a NumPy archive."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from uqdm.bench.datasets import DataSetError, _member, content_fingerprint, open_dataset


@pytest.fixture
def images_uint8() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("limit", [None, 4, 9])
def test_images_are_those_of_the_array(
    tmp_path: Path, images_uint8: np.ndarray, save: object, limit: int | None
) -> None:
    save(tmp_path / "tiny.npz", images=images_uint8)  # type: ignore[operator]
    dataset = open_dataset(f"npz:{tmp_path}/tiny.npz", limit)
    expected = images_uint8[:limit]
    assert dataset.name == "tiny"
    assert len(dataset) == len(expected)
    np.testing.assert_array_equal([dataset.load(index) for index in range(len(dataset))], expected)
    assert dataset.fingerprint == content_fingerprint(expected)
    assert open_dataset(dataset.spec, limit).fingerprint == dataset.fingerprint


def test_the_key_names_one_of_several_arrays(tmp_path: Path, images_uint8: np.ndarray) -> None:
    np.savez(tmp_path / "two.npz", train=images_uint8, test=images_uint8[::-1])
    dataset = open_dataset(f"npz:{tmp_path}/two.npz#test")
    assert dataset.name == "two-test"
    np.testing.assert_array_equal(dataset.load(0), images_uint8[-1])
    for spec in ("", "#tset"):
        with pytest.raises(DataSetError, match="it holds: train, test"):
            open_dataset(f"npz:{tmp_path}/two.npz{spec}")


def test_a_loaded_image_is_a_copy(tmp_path: Path, images_uint8: np.ndarray) -> None:
    np.savez(tmp_path / "x.npz", images_uint8)
    dataset = open_dataset(f"npz:{tmp_path}/x.npz")
    dataset.load(0)[:] = 0
    np.testing.assert_array_equal(dataset.load(0), images_uint8[0])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 4, 4, 3), np.float32),
        np.zeros((2, 3, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((0, 4, 4, 3), np.uint8),
    ],
    ids=["float", "channels-first", "one-image", "empty"],
)
def test_another_type_or_shape_is_refused(tmp_path: Path, array: np.ndarray) -> None:
    np.savez(tmp_path / "x.npz", array)
    with pytest.raises(DataSetError, match=r"expected uint8 \[N, H, W, 3\], got"):
        open_dataset(f"npz:{tmp_path}/x.npz")


def test_objects_are_refused_and_never_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    np.savez(tmp_path / "x.npz", np.array([Trap()], dtype=object))
    with pytest.raises(DataSetError, match="got object"):
        open_dataset(f"npz:{tmp_path}/x.npz")
    assert not (tmp_path / "sprung").exists()


def test_fortran_order_is_refused_with_the_remedy(tmp_path: Path, images_uint8: np.ndarray) -> None:
    np.savez(tmp_path / "x.npz", np.asfortranarray(images_uint8))
    with pytest.raises(DataSetError, match="ascontiguousarray"):
        open_dataset(f"npz:{tmp_path}/x.npz")


def test_a_header_of_more_than_the_data_is_refused(tmp_path: Path, images_uint8: np.ndarray) -> None:
    member = io.BytesIO()
    np.save(member, images_uint8)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", member.getvalue()[:-1])
    with pytest.raises(DataSetError, match="cut short: 359 of 360 bytes"):
        open_dataset(f"npz:{tmp_path}/x.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_flipped_bit_is_detected(tmp_path: Path, images_uint8: np.ndarray, save: object) -> None:
    path = tmp_path / "x.npz"
    save(path, images_uint8)  # type: ignore[operator]
    data = bytearray(path.read_bytes())
    data[300] ^= 1  # among the pixels
    path.write_bytes(data)
    with pytest.raises(DataSetError, match=r"npz:.*x\.npz: "):
        open_dataset(f"npz:{path}")


@pytest.mark.parametrize("content", [None, b"", b"not an archive"])
def test_a_file_that_is_no_archive_is_reported(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(DataSetError, match=r"npz:.*x\.npz: "):
        open_dataset(f"npz:{tmp_path}/x.npz")


def test_random_access_to_a_compressed_array_gives_its_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of about 1,000 bytes, of which one is kept: reads alternate between many of them."""
    monkeypatch.setattr(_member, "_BLOCK", 1000)
    monkeypatch.setattr(_member, "_PIECE", 100)
    monkeypatch.setattr(_member, "_BLOCKS", 1)
    noise = np.random.default_rng(2).integers(0, 16, (50, 7, 9, 3), dtype=np.uint8)
    np.savez_compressed(tmp_path / "x.npz", noise)
    dataset = open_dataset(f"npz:{tmp_path}/x.npz")
    for index in (49, 0, 25, 26, 3, 48):
        np.testing.assert_array_equal(dataset.load(index), noise[index])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_changed_byte_in_the_data_is_detected(tmp_path: Path, images_uint8: np.ndarray, save: object) -> None:
    save(tmp_path / "x.npz", images_uint8)  # type: ignore[operator]
    data = bytearray((tmp_path / "x.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(DataSetError, match=r"CRC|invalid|incomplete|cut short"):
        open_dataset(f"npz:{tmp_path}/x.npz")


@pytest.mark.slow
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_memory_does_not_grow_with_the_array(tmp_path: Path, save: object) -> None:
    """An array of 300 MB is opened and read in less than a third of that; its 100,000 names are lazily generated."""
    images = np.zeros((100_000, 32, 32, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(len(images)) % 251
    save(tmp_path / "x.npz", images)  # type: ignore[operator]
    code = (
        "import resource, sys; from uqdm.bench.datasets import open_dataset\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "open_dataset(sys.argv[1], limit=10); before = peak(); dataset = open_dataset(sys.argv[1])\n"
        "assert dataset.load(99_999)[0, 0, 0] == 99_999 % 251, dataset.ids[-1] == '99999'\n"
        "print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, f"npz:{tmp_path}/x.npz"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < images.nbytes / 3
