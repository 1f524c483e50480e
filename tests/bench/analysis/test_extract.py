"""Guards that one image's files are extracted as they were measured, and that nothing else is read."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import small_run
from PIL import Image
from toy_codecs import RAISE
from toy_images import MemoryImages
from typer.testing import CliRunner

from uqdm.bench.analysis.extract import Extracted, ExtractRequest, extract
from uqdm.bench.datasets import open_dataset
from uqdm.bench.evaluation.measure import measure_images
from uqdm.bench.run.errors import ResultsError
from uqdm.bench.run.kept_pictures import KeptPictureWriter
from uqdm.bench.run.layout import ShardFolder, shard_path
from uqdm.bench.run.stored_run import open_run
from uqdm.cli.main import app
from uqdm.codec import get_codec

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run_dir(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven photographs in shards of three, by a real codec and by a progressive one."""
    folder = tmp_path_factory.mktemp("extract") / "run"
    small_run.evaluate_here(folder, open_dataset("demo", 7), "jpeg:quality=50", "jpeg:quality=90", "toy-model", "png")
    return folder


def read_picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def names(extracted: Extracted) -> list[str]:
    return [path.name for path in extracted.files]


def test_original_coded_files_and_pictures_are_written(run_dir: Path, tmp_path: Path) -> None:
    extracted = extract(run_dir, "4", tmp_path)
    assert sorted(names(extracted)) == sorted(path.name for path in tmp_path.iterdir())
    assert sorted(names(extracted)) == [
        "image4__jpeg__quality=50.jpg",
        "image4__jpeg__quality=50__full__decoded.png",
        "image4__jpeg__quality=90.jpg",
        "image4__jpeg__quality=90__full__decoded.png",
        "image4__original.png",
        "image4__png.png",
        "image4__png__full__decoded.png",
        "image4__toy-model__drop=0.raw",
        "image4__toy-model__drop=0__all__decoded.png",
        "image4__toy-model__drop=0__high__floor.png",
        "image4__toy-model__drop=0__high__middle.png",
    ]
    image_uint8 = open_dataset("demo", 7).load(4)
    for name in ("original", "png", "png__full__decoded", "toy-model__drop=0__all__decoded"):
        np.testing.assert_array_equal(read_picture(tmp_path / f"image4__{name}.png"), image_uint8)
    jpeg = get_codec("jpeg", quality=50)
    assert (tmp_path / "image4__jpeg__quality=50.jpg").read_bytes() == jpeg.encode([image_uint8])[0]
    decoded = read_picture(tmp_path / "image4__jpeg__quality=50__full__decoded.png")
    np.testing.assert_array_equal(decoded, read_picture(tmp_path / "image4__jpeg__quality=50.jpg"))


def test_an_image_is_selected_by_id_or_index_and_its_files_by_the_request(run_dir: Path, tmp_path: Path) -> None:
    image_id = open_dataset("demo", 7).ids[6]
    extracted = extract(run_dir, image_id, tmp_path, ExtractRequest("toy-model", point="high", reconstruction="floor"))
    assert (extracted.image_index, extracted.image_id, extracted.lacking) == (6, image_id, [])
    assert names(extracted) == [
        "image6__toy-model__drop=0.raw",
        "image6__toy-model__drop=0__high__floor.png",
        "image6__original.png",
    ]
    extracted = extract(run_dir, "0", tmp_path, ExtractRequest("jpeg", "quality=90"))
    assert names(extracted)[0] == "image0__jpeg__quality=90.jpg"


def test_other_shards_are_not_read(run_dir: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run_dir, tmp_path / "run")
    run = open_run(run_dir)
    holding = {shard.key for codec in run.codecs for shard in codec.shards if shard.start <= 4 < shard.stop}
    for kind in ("shards", "streams"):
        for path in (copy / kind).rglob("*.parquet"):
            if path.stem not in holding:
                path.write_bytes(b"unreadable")
    assert len(extract(copy, "4", tmp_path / "out").files) == 11


def test_a_request_for_what_the_run_lacks_names_what_it_has(run_dir: Path, tmp_path: Path) -> None:
    image_id = open_dataset("demo", 7).ids[0]
    for asked, request, message in (
        (image_id[:-1], ExtractRequest(), f"has no image .*did you mean {image_id}.* an index from 0 to 6"),
        ("7", ExtractRequest(), "has no image '7'"),
        ("0", ExtractRequest("jpg"), r"no codec 'jpg' \(did you mean jpeg, png\?\); it has: jpeg, png, toy-model"),
        ("0", ExtractRequest("jpeg", "quality=55"), "no setting 'quality=55' here .*'quality=50', 'quality=90'"),
        ("0", ExtractRequest("toy-model", point="low"), "no point 'low' here.*'high', 'all'"),
        ("0", ExtractRequest("toy-model", reconstruction="mean"), "no reconstruction 'mean'"),
    ):
        with pytest.raises(ResultsError, match=message):
            extract(run_dir, asked, tmp_path, request)
    assert list(tmp_path.iterdir()) == []


def test_kept_pictures_are_written_where_coded_files_are_gone(run_dir: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run_dir, tmp_path / "run")
    shutil.rmtree(copy / "streams")
    with pytest.raises(
        ResultsError, match=r"nothing of image .* is kept: jpeg quality=50: its coded file was not kept"
    ):
        extract(copy, "1", tmp_path / "out")
    run = open_run(run_dir)
    (codec,) = (codec for codec in run.codecs if codec.name == "toy-model")
    shard = codec.shards[0]
    keeper = KeptPictureWriter(shard, {})
    model = get_codec("toy-model")
    measure_images(model, model, [run.dataset.load(index) for index in range(3)], [keeper])
    path = shard_path(copy, ShardFolder.RECONSTRUCTIONS, "toy-model", shard.key)
    path.parent.mkdir(parents=True)
    path.write_bytes(keeper.finish())
    extracted = extract(copy, "1", tmp_path / "out")
    assert names(extracted)[:3] == [
        "image1__toy-model__drop=0__high__floor.png",
        "image1__toy-model__drop=0__high__middle.png",
        "image1__toy-model__drop=0__all__decoded.png",
    ]
    np.testing.assert_array_equal(read_picture(extracted.files[2]), run.dataset.load(1))
    assert len(extracted.lacking) == 3  # jpeg at two qualities, png


def test_a_picture_other_than_the_measured_one_is_not_written(toys: Path, tmp_path: Path) -> None:
    demo = open_dataset("demo", 2)
    small_run.evaluate_here(tmp_path / "run", demo, "toy-raw:drop=0")
    (path,) = (tmp_path / "run" / "shards" / "toy-raw").iterdir()
    rows = pq.read_table(path)
    hashes = rows["picture_sha256"].to_pylist()
    rows = rows.set_column(
        rows.schema.get_field_index("picture_sha256"),
        rows.schema.field("picture_sha256"),
        [[hashes[1], hashes[0]]],
    )
    pq.write_table(rows, path)
    extracted = extract(tmp_path / "run", "0", tmp_path / "out")
    assert names(extracted) == ["image0__toy-raw__drop=0.raw", "image0__original.png"]
    assert "decodes to another picture" in extracted.lacking[0]


def test_failed_images_and_an_absent_data_set_are_reported(toys: Path, tmp_path: Path) -> None:
    images = [open_dataset("demo", 3).load(index).copy() for index in range(3)]
    for index, image in enumerate(images):
        image[0, 0, 0] = RAISE if index == 1 else 0
    small_run.evaluate_here(tmp_path / "run", MemoryImages(images), "toy-faulty", "toy-model")
    extracted = extract(tmp_path / "run", "image-001", tmp_path / "out")
    assert len(extracted.files) == 4  # of toy-model
    assert "failed when it was evaluated (encode: RuntimeError: cannot encode this image)" in extracted.lacking[0]
    assert extracted.lacking[1].startswith("original: UnknownDataSetError: no data set 'memory'")


def test_only_this_original_is_read_and_it_must_be_the_evaluated_one(tmp_path: Path) -> None:
    images, demo = tmp_path / "images", open_dataset("demo", 5)
    images.mkdir()
    for index in range(5):
        Image.fromarray(demo.load(index)).save(images / f"{index + 1}.png")
    small_run.evaluate_here(tmp_path / "run", open_dataset(f"folder:{images}"), "jpeg:quality=50")

    def original(image: str) -> tuple[np.ndarray | None, list[str]]:
        extracted = extract(tmp_path / "run", image, tmp_path / "out")
        found = [read_picture(path) for path in extracted.files if path.name.endswith("__original.png")]
        return (found[0] if found else None), extracted.lacking

    for other in ("1.png", "3.png", "5.png"):  # reading them fails
        (images / other).write_bytes(b"unreadable")
    np.testing.assert_array_equal(original("2.png")[0], demo.load(1))
    np.testing.assert_array_equal(original("3")[0], demo.load(3))
    assert "1.png" in original("0")[1][0]
    (images / "0.png").write_bytes((images / "4.png").read_bytes())  # all images move by one place
    np.testing.assert_array_equal(original("2.png")[0], demo.load(1))
    changed = demo.load(1).copy()
    changed[5, 5, 1] ^= 1
    Image.fromarray(changed).save(images / "2.png")
    message = f"original: ResultsError: 2.png in folder:{images} is not the image that was evaluated"
    assert original("2.png") == (None, [message])
    (images / "4.png").unlink()
    message = f"original: ResultsError: folder:{images} holds no image 4.png any more"
    assert original("4.png") == (None, [message])


def test_the_command_reads_one_image_and_nothing_else(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    demo = open_dataset("demo", 7)
    for index in range(7):
        Image.fromarray(demo.load(index)).save(images / f"{index}.png")
    run_dir = tmp_path / "run"
    small_run.evaluate_here(run_dir, open_dataset(f"folder:{images}"), "png")
    holding = {shard.key for codec in open_run(run_dir).codecs for shard in codec.shards if shard.start == 3}
    others = [path for path in images.iterdir() if path.name != "3.png"]
    for folder in ("shards", "streams"):
        others += [path for path in (run_dir / folder).rglob("*.parquet") if path.stem not in holding]
    for path in others:
        path.write_bytes(b"unreadable")
    command = ["bench", "extract", str(run_dir), "--image", "3", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, command)
    assert (done.exit_code, done.stderr) == (0, "")
    assert len(others) == 6 + 4
    np.testing.assert_array_equal(read_picture(tmp_path / "out" / "image3__original.png"), demo.load(3))


def test_the_command_lists_what_it_wrote(run_dir: Path, tmp_path: Path) -> None:
    command = ["bench", "extract", str(run_dir), "--image", "2", "--codec", "png", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == f"image 2: {open_dataset('demo', 7).ids[2]}"
    assert [line.split("  ")[0] for line in lines[1:]] == [
        str(tmp_path / f"image2__{name}.png") for name in ("png", "png__full__decoded", "original")
    ]
