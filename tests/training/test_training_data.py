"""Training data: deterministic, from folders and arrays of any size, and the swirl."""

import threading

import numpy as np
import pytest
from PIL import Image

from uqdm.bench.datasets import UnknownDataSetError
from uqdm.training.config import Data
from uqdm.training.data import Feed, Tiles, TrainingDataError, open_source, random_tiles
from uqdm.training.data.arrays import open_arrays
from uqdm.training.data.swirl import swirl_points


@pytest.fixture
def folder(tmp_path, photographs_uint8):
    for i, image in enumerate(photographs_uint8):
        Image.fromarray(image).resize((80, 70)).save(tmp_path / f"{i}.png")
    return tmp_path


@pytest.fixture
def tiles(photographs_uint8):
    return np.stack(photographs_uint8)


def drawn(source, seed, n=6, size=16):
    return source.load(source.draw(n, size, np.random.default_rng(seed)))


def test_random_tiles_are_deterministic_and_skip_small_images(folder, tiles):
    Image.fromarray(tiles[0][:10]).save(folder / "too_small.png")
    first, second = (random_tiles(folder, 32, boxes_per_image=3, seed=1, smallest_box=40) for _ in range(2))
    assert first.shape == (8 * 3, 32, 32, 3)
    assert (first == second).all()


def test_folder_without_usable_images_is_refused(folder, tmp_path_factory):
    with pytest.raises(TrainingDataError, match="no images found"):
        random_tiles(tmp_path_factory.mktemp("empty"), 32, boxes_per_image=1, seed=0)
    with pytest.raises(TrainingDataError, match="smaller than tiles of 200"):
        random_tiles(folder, 200, boxes_per_image=1, seed=0)
    (folder / "broken.png").write_bytes(b"no image")
    with pytest.raises(TrainingDataError, match=r"broken.png: not an image"):
        random_tiles(folder, 32, boxes_per_image=1, seed=0)


def test_crops_come_from_the_tiles(tiles):
    crops = drawn(Tiles(tiles), 0, n=5, size=64)
    both = [*tiles, *tiles[:, :, ::-1]]
    assert all(any((crop == tile).all() for tile in both) for crop in crops)


def test_boxes_of_a_folder_are_read_lazily(folder):
    source = open_source(Data(source=f"folder:{folder}", smallest_box=40), 32)
    first = drawn(source, 1)
    assert first.shape == (6, 16, 16, 3)
    assert (first == drawn(source, 1)).all()
    assert (first != drawn(source, 2)).any()
    assert source.is_slow
    assert len(source) == 8


def test_part_of_a_draw_loads_part_of_the_batch(folder, tiles, tmp_path):
    np.savez(tmp_path / "tiles.npz", tiles)
    for spec, data in ((f"folder:{folder}", {}), (f"npz:{tmp_path}/tiles.npz", {}), ("swirl", {})):
        source = open_source(Data(source=spec, **data), 32 if spec.startswith("folder") else 64)
        drawn_batch = source.draw(6, 16, np.random.default_rng(3))
        whole = source.load(drawn_batch)
        parts = [source.load(drawn_batch[rows]) for rows in (slice(0, 2), slice(2, 6))]
        assert (np.concatenate(parts) == whole).all()


def test_too_small_image_is_refused_when_drawn(folder, tiles):
    for file in folder.glob("*.png"):
        file.unlink()
    Image.fromarray(tiles[0][:20]).save(folder / "small.png")
    with pytest.raises(TrainingDataError, match="short side of 20 pixels"):
        drawn(open_source(Data(source=f"folder:{folder}"), 32), 0)


LAYOUTS = {
    "rows": lambda tiles: tiles,
    "planes": lambda tiles: tiles.transpose(0, 3, 1, 2),
    "flat": lambda tiles: tiles.transpose(0, 3, 1, 2).reshape(len(tiles), -1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_any_layout_are_memory_mapped(tmp_path, monkeypatch, tiles, layout, save):
    monkeypatch.setenv("UQDM_CACHE", str(tmp_path / "cache"))
    array = np.ascontiguousarray(LAYOUTS[layout](tiles))
    save(tmp_path / "train_1.npz", data=array[:5], labels=np.arange(5))
    save(tmp_path / "train_2.npz", data=array[5:], labels=np.arange(3))
    arrays = open_arrays(f"{tmp_path}/train_*.npz#data")
    assert arrays.shape == tiles.shape
    assert all((arrays[i] == tile).all() for i, tile in enumerate(tiles))
    assert (arrays[6, slice(3, 9), slice(1, 5)] == tiles[6, 3:9, 1:5]).all()
    assert all(isinstance(part, np.memmap) for part in arrays._parts)


def test_images_larger_than_the_model_give_boxes(tmp_path, tiles):
    np.savez(tmp_path / "tiles.npz", train=tiles, other=tiles[:2])
    source = open_source(Data(source=f"npz:{tmp_path}/tiles.npz#train", smallest_box=64, flips=False), 32)
    # Every box is the whole image: a batch holds nothing but halved tiles.
    halved = [np.asarray(Image.fromarray(tile).resize((32, 32), Image.Resampling.BOX)) for tile in tiles]
    assert all(any((crop == tile).all() for tile in halved) for crop in drawn(source, 0, size=32))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("missing.npz", "no such file"),
        ("many.npz", r"name one array as #KEY; .* holds: train, other"),
        ("many.npz#third", "no array 'third'"),
        ("text.npz", "no archive of arrays"),
        ("odd.npz", "expected square images"),
        ("floats.npz", "expected uint8, got float64"),
        ("objects.npz#train", "of objects"),
    ],
)
def test_unusable_array_is_refused(tmp_path, tiles, argument, message):
    np.savez(tmp_path / "many.npz", train=tiles, other=tiles)
    np.savez(tmp_path / "odd.npz", tiles[:, :10])
    np.savez(tmp_path / "floats.npz", tiles / 1.0)
    np.savez(tmp_path / "objects.npz", train=np.array([[{}]]))
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(TrainingDataError, match=message):
        open_arrays(f"{tmp_path}/{argument}")


def test_data_sets_of_the_benchmark_are_sources(photographs_uint8):
    source = open_source(Data(source="demo", flips=False), 64)
    assert len(source) == 128
    images = {image.tobytes() for image in photographs_uint8}
    assert images & {crop.tobytes() for crop in drawn(source, 0, n=200, size=64)}
    assert drawn(open_source(Data(source="demo"), 32), 0, size=32).shape == (6, 32, 32, 3)


def test_missing_sources_are_refused(tmp_path, tiles):
    for spec, message in ((None, "no training data: name folder:PATH"), ("folder:/x/y", "no such folder")):
        with pytest.raises(TrainingDataError, match=message):
            open_source(Data(source=spec), 32)
    with pytest.raises(UnknownDataSetError, match="cd"):
        open_source(Data(source="cd:x"), 32)
    np.savez(tmp_path / "tiles.npz", tiles)
    with pytest.raises(TrainingDataError, match="images of 64 pixels are smaller than the model's 128"):
        open_source(Data(source=f"npz:{tmp_path}/tiles.npz"), 128)


def test_read_ahead_keeps_the_order_of_batches():
    def draw(rng, number):
        return number, int(rng.integers(1 << 30)), threading.current_thread() is threading.main_thread()

    plain, ahead = (Feed(draw, np.random.default_rng(5), number=7, ahead=ahead) for ahead in (0, 3))
    for _ in range(4):
        assert plain.state == ahead.state
        first, second = plain.next(), ahead.next()
        assert first[:2] == second[:2]
        assert (first[2], second[2]) == (True, False)
    ahead.close()


def test_the_swirl_has_the_entropy_of_its_coordinates():
    points = swirl_points(400_000, np.random.default_rng(0))
    shares = [np.bincount(points[:, i], minlength=256) / len(points) for i in range(2)]
    entropies = [-np.sum(share[share > 0] * np.log2(share[share > 0])) for share in shares]
    # 6.99 bits a dimension from other code of the same data; the estimate is biased by 256 / (2 n ln 2) < 0.001.
    assert np.mean(entropies) == pytest.approx(6.99, abs=0.01)
    # Of 1,024 other points: deviations of these means are 1.5 levels.
    assert points.mean(0) == pytest.approx([115.6, 135.3], abs=5)
    assert points.std(0) == pytest.approx([47.2, 41.6], abs=3)
