"""Hosts of recipes that were run, in their real environments: round trips, batches, damage.

Each test makes the environment of a recipe, unless this machine has it: minutes, and gigabytes for those with torch.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from deadline import no_hang

from uqdm.bench.evaluation.measure import measure_images
from uqdm.codec import CodecUnavailableError, StreamError
from uqdm.environments import environment
from uqdm_baselines.remote import Remote
from uqdm_baselines.remote.session import HOST_FILE

pytestmark = pytest.mark.proof

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
COMMANDS = {
    "compressai": [
        "--model mbt2018-mean --random-weights 1",
        "--model bmshj2018-factorized --random-weights 1 --quality 6",
        "--model bmshj2018-factorized-relu --random-weights 1",
        "--model cheng2020-attn --random-weights 1",
    ],
    "imagecodecs": ["--format jpegxr --level 80", "--format htj2k --level 0.02", "--format jpegls"],
    "ms-illm": ["--random-weights 1"],
}
CASES = [(recipe, arguments) for recipe, each in COMMANDS.items() for arguments in each]
LOSSLESS = {"--format jpegls"}
CHECKED = ("compressai", "ms-illm")
"""Recipes whose coder shows nearly every damage; the formats of the others show some."""


def codec_of(recipe: str, arguments: str, **parameters: object) -> Remote:
    """The codec of a recipe, with its environment made."""
    lock = RECIPES / recipe / "lock.txt"
    environment(str(lock)).make()
    command = f"python {RECIPES / recipe / 'host.py'} {arguments}"
    return Remote(command=command, environment=str(lock), timeout_s=20.0, **parameters)


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]} {case[1]}")
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


def test_a_recipe_that_was_run_is_run_here() -> None:
    assert set(COMMANDS) == {path.parent.name for path in RECIPES.glob("*/lock.txt")}


def test_images_of_any_size_make_a_round_trip(case: tuple[str, str], photographs_uint8: list[np.ndarray]) -> None:
    recipe, arguments = case
    codec = codec_of(recipe, arguments)
    photograph = photographs_uint8[0]
    images = [photograph, photograph[:33, :5], photograph[:1, :1], np.concatenate(photographs_uint8[:2], 1)[:, :70]]
    streams = codec.encode(images)
    for image, decoded in zip(images, codec.decode(streams), strict=True):
        assert decoded.shape == image.shape
        if arguments in LOSSLESS:
            np.testing.assert_array_equal(decoded, image)
    assert codec.version.startswith(arguments.split()[1] if recipe == "imagecodecs" else recipe)


def test_bytes_do_not_depend_on_the_other_images_of_a_call(
    case: tuple[str, str], photographs_uint8: list[np.ndarray]
) -> None:
    codec = codec_of(*case)
    together = codec.encode(photographs_uint8)
    alone = [codec.encode([image])[0] for image in photographs_uint8]
    assert together == alone
    assert len(set(together)) == len(photographs_uint8)
    pictures = codec.decode(together)
    for stream, picture in zip(alone, pictures, strict=True):
        np.testing.assert_array_equal(codec.decode([stream])[0], picture)


def test_another_host_decodes_the_same_pictures(case: tuple[str, str], photographs_uint8: list[np.ndarray]) -> None:
    codec = codec_of(*case)
    streams = codec.encode(photographs_uint8[:2])
    pictures = codec.decode(streams)
    codec.session.close()
    np.testing.assert_array_equal(codec.decode(streams), pictures)


def test_damaged_files_are_refused_or_decoded_to_some_picture(
    case: tuple[str, str], photographs_uint8: list[np.ndarray]
) -> None:
    """Nothing else happens: no crash of this process, no wait beyond the limit, no memory for what a size claims."""
    codec = codec_of(*case, memory_gib=4.0)
    codec.values["timeout_s"] = 5.0
    (stream,) = codec.encode(photographs_uint8[:1])
    damaged = list(damages(stream, 40))
    refused = 0
    with no_hang(300):
        for one in damaged:
            try:
                (picture,) = codec.decode([one])
                assert picture.dtype == np.uint8
            except StreamError:
                refused += 1
    if case[0] in CHECKED:
        assert refused >= 0.9 * len(damaged)
    assert codec.decode([stream])[0].shape == photographs_uint8[0].shape


def damages(stream: bytes, count: int) -> list[bytes]:
    """Copies of a stream that are cut, have a bit flipped, or are random from some place on."""
    generator = np.random.default_rng(0)
    found = []
    for index in range(count):
        place = int(generator.integers(len(stream)))
        copy = bytearray(stream)
        copy[place] ^= 1 << int(generator.integers(8))
        random = generator.bytes(len(stream) - place)
        found.append([stream[:place], bytes(copy), stream[:place] + random][index % 3])
    return found


@pytest.mark.parametrize("recipe", CHECKED)
def test_a_size_that_the_strings_cannot_fill_takes_no_memory(recipe: str, photographs_uint8: list[np.ndarray]) -> None:
    codec = codec_of(recipe, COMMANDS[recipe][0], memory_gib=4.0)
    (stream,) = codec.encode(photographs_uint8[:1])
    eight_thousand = bytes([8000 & 127 | 128, 8000 >> 7])
    with pytest.raises(StreamError, match="too short for 15625 places"):
        codec.decode([2 * eight_thousand + stream[2:]])  # 64 is one byte for each side


@pytest.mark.parametrize("recipe", CHECKED)
def test_rows_are_measured_as_those_of_any_codec(recipe: str, photographs_uint8: list[np.ndarray]) -> None:
    codec = codec_of(recipe, COMMANDS[recipe][0])
    rows = measure_images(codec, codec, photographs_uint8[:2]).rows
    assert [row.get("error") for row in rows] == [None, None]


@pytest.mark.parametrize(
    ("recipe", "arguments", "reason"),
    [
        ("compressai", "--model mbt2018 --checkpoint nowhere.pth.tar", "no weights in nowhere.pth.tar"),
        ("compressai", "--model cheng2020-attn --quality 8 --random-weights 1", "cheng2020-attn has 1 to 6"),
        ("ms-illm", "--checkpoint nowhere.ckpt", "no weights in nowhere.ckpt"),
        ("imagecodecs", "--format jpegxr --level 101", "jpegxr has 1 to 100"),
    ],
)
def test_wrong_options_are_named(recipe: str, arguments: str, reason: str) -> None:
    with pytest.raises(CodecUnavailableError, match=reason):
        codec_of(recipe, arguments).version  # noqa: B018


def test_weights_of_another_network_or_damaged_ones_are_refused(tmp_path: Path) -> None:
    for name, reason in (
        ("mbt2018-1-0123abcd.pth.tar", "is damaged: its SHA-256"),
        ("any.pth.tar", "holds no weights"),
    ):
        (tmp_path / name).write_bytes(b"no weights")
        with pytest.raises(CodecUnavailableError, match=reason):
            codec_of("compressai", f"--model mbt2018 --checkpoint {tmp_path / name}").version  # noqa: B018


SAVE = """
import sys, torch
from compressai.models import FactorizedPrior
torch.manual_seed(0)
net = FactorizedPrior(16, 24)
if sys.argv[2] == "training":
    parallel = {"module." + name: one for name, one in net.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": parallel}, sys.argv[1])
else:
    net.update()
    torch.save(net.state_dict(), sys.argv[1])
"""


@pytest.mark.parametrize("kind", ["zoo", "training"])
def test_weights_of_the_zoo_and_of_a_training_are_read(
    tmp_path: Path, kind: str, photographs_uint8: list[np.ndarray]
) -> None:
    """Of any width; with tables of the coder in the file, or without."""
    found = environment(str(RECIPES / "compressai" / "lock.txt"))
    found.make()
    path = tmp_path / "mine.pth.tar"
    subprocess.run(found.command(["python", "-c", SAVE, str(path), kind]), env=found.variables(), check=True)
    codec = codec_of("compressai", f"--model bmshj2018-factorized --checkpoint {path}")
    streams = codec.encode(photographs_uint8[:2])
    assert [picture.shape for picture in codec.decode(streams)] == [(64, 64, 3)] * 2
    path.rename(tmp_path / "bmshj2018-factorized-prior-1-446d5c7f.pth.tar")
    with pytest.raises(CodecUnavailableError, match=r"bmshj2018-factorized-prior-1-446d5c7f\.pth\.tar is damaged"):
        codec_of("compressai", f"--model bmshj2018-factorized --checkpoint {tmp_path}").version  # noqa: B018


@pytest.mark.parametrize(
    "recipe", sorted({path.parent.name for path in RECIPES.glob("*/host.py")} - set(COMMANDS) - {"vtm"})
)
def test_a_host_that_was_not_run_names_a_clone_that_is_none(recipe: str, tmp_path: Path) -> None:
    """What it imports before it needs other people's code is there, and its options are read."""
    found = environment(str(RECIPES / "compressai" / "lock.txt"))
    found.make()
    arguments = REQUIRED[recipe].split()
    words = found.command(["python", str(RECIPES / recipe / "host.py"), "--repository", str(tmp_path), *arguments])
    variables = {**found.variables(), "PYTHONPATH": str(HOST_FILE.parent)}
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)
    assert f"{tmp_path} is no clone of that repository" in done.stderr.replace(f"{tmp_path}/xparam", str(tmp_path))


REQUIRED = {
    "cdc": "--checkpoint w --parameterization x --lpips-weight 0.9",
    "cool-chic": "--lmbda 1e-3",
    "ctc": "--checkpoint w",
    "dcvc-uf-intra": "--checkpoint w --qp 32",
    "diffc": "--config configs/SD-1.5-base.yaml --timestep 200",
    "perco": "--models m --rate 0.0313",
    "stablecodec": "--sd s --elic e --codec c",
}
"""Options that a host needs beside its clone."""
