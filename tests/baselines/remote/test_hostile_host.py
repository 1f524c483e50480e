"""Hosts that lie, flood, hang or vanish fail the images of their call, with the reason; the next call works."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from deadline import no_hang
from hosts import CODEC, RAW, SERVE, codec_of

from uqdm.bench.evaluation.measure import measure_images
from uqdm.codec import StreamError
from uqdm_baselines._process import ProgramError

pytestmark = pytest.mark.slow

IMAGE = np.zeros((4, 6, 3), np.uint8)
ANSWER = 'give({"id": call["id"], "streams": [%s], "ideal_bits": [{}]}, %s)'


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UQDM_CACHE", str(tmp_path / "cache"))


FAULTS = {
    "ends": ("sys.exit(3)", "ended with status 3"),
    "ends with a signal": ("os.abort()", "ended with signal 6"),
    "ends after it printed": ("print('out of memory', file=sys.stderr, flush=True); sys.exit(1)", "out of memory"),
    "ends within its answer": ("os.write(1, b'UQCH'); sys.exit(0)", "ended with status 0"),
    "hangs": ("time.sleep(600)", "was stopped after 1 s"),
    "hangs within its answer": (
        "give({'id': 2, 'streams': [9], 'ideal_bits': [{}]}, n_bytes=9); time.sleep(600)",
        "after 1 s",
    ),
    "closes its output": ("os.close(1); time.sleep(600)", "was stopped, as it closed its output"),
    "prints to stdout": ("os.write(1, b'Loading the model ...'); time.sleep(600)", "does it print to stdout"),
    "floods stdout": ("while True: os.write(1, b'x' * 65536)", "does it print to stdout"),
    "another protocol": ("give({'id': 2}, protocol=7)", "speaks version 7 of the protocol, not 1"),
    "answers another request": ("give({'id': 7, 'streams': [0], 'ideal_bits': [{}]})", "answered request 7, not 2"),
    "no id": ("give({'streams': [0], 'ideal_bits': [{}]})", "answered request None, not 2"),
    "no JSON": ("give(b'{]')", "a head that is not JSON"),
    "deep JSON": ("give(b'[' * 100000)", "a head that is not JSON"),
    "no object": ("give(b'[]')", "a head that is not an object"),
    "a head of 4 GB": ("os.write(1, FRAME.pack(b'UQCH', 1, 0, 4000000000, 0))", "a head of 4,000,000,000 bytes"),
    "a stream of 10 GB": (ANSWER % ("10 ** 10", "n_bytes=10 ** 10"), "not a whole number from 0 to 1,048,576"),
    "a body longer than told": (ANSWER % ("3", "b'abcdef'"), "a body of 6 bytes, and tells of 3"),
    "a body of 10 GB": (ANSWER % ("3", "n_bytes=10 ** 10"), "a body of 10,000,000,000 bytes, and tells of 3"),
    "a negative length": (ANSWER % ("-1", "b''"), "streams have -1"),
    "true as a length": (ANSWER % ("True", "b'a'"), "streams have True"),
    "too many streams": (ANSWER % ("1, 1", "b'ab'"), "streams are not a list of 1"),
    "no streams": ("give({'id': 2})", "streams are not a list of 1"),
    "bits that are none": ("give({'id': 2, 'streams': [0], 'ideal_bits': [{'full': -1}]})", "ideal_bits have -1"),
    "an error without text": ("give({'id': 2, 'error': 5})", "its error has no message"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_image_fails_with_the_reason(tmp_path: Path, fault: str) -> None:
    body, reason = FAULTS[fault]
    codec = codec_of(tmp_path, RAW + body + "\ntime.sleep(600)\n", timeout_s=1, output_mib=1)
    with no_hang(30), pytest.raises(ProgramError, match=reason):
        codec.encode([IMAGE])
    assert codec.session._host is None or not codec.session._host.is_alive()


DECODED = {
    "another shape than bytes": ("give({'id': 2, 'images': [[4, 6]]}, b'abc')", "a body of 3 bytes, and tells of 72"),
    "a huge picture": ("give({'id': 2, 'images': [[100000, 100000]]})", "its image has 100000 x 100000 pixels"),
    "an empty picture": ("give({'id': 2, 'images': [[0, 6]]})", "images have 0"),
    "one side": ("give({'id': 2, 'images': [[72]]}, bytes(216))", "images are not a list of 2"),
    "an endless number": ("give(b'{\"id\": 2, \"images\": [[' + b'9' * 10000 + b', 1]]}')", "not JSON|images have"),
}


@pytest.mark.parametrize("fault", DECODED)
def test_the_stream_fails_with_the_reason(tmp_path: Path, fault: str) -> None:
    body, reason = DECODED[fault]
    codec = codec_of(tmp_path, RAW + body + "\ntime.sleep(600)\n", timeout_s=5)
    with no_hang(30), pytest.raises(StreamError, match=reason):
        codec.decode([b"stream"])


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ("[['a', 3]]", "do not lead to the whole stream of 6"),
        ("[['a', 4], ['b', 2], ['c', 6]]", "do not lead"),
        ("[['a', 7]]", "points have 7"),
        ("[['a', 2], ['a', 6]]", "do not lead"),
        ("[]", "points are not a list of 1 to 64"),
        ("[[5, 6]]", "points is 5, not text"),
    ],
)
def test_points_that_do_not_fit_are_refused(tmp_path: Path, points: str, reason: str) -> None:
    raw = RAW.replace('"progressive": False', '"progressive": True')
    codec = codec_of(tmp_path, f"{raw}give({{'id': 2, 'points': [{points}]}})\ntime.sleep(600)\n", timeout_s=5)
    with no_hang(30), pytest.raises(StreamError, match=reason):
        codec.points(b"stream")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ('"name": "raw"', "its name is None"),
        ('"version": "1"', "its version is None"),
        ('"batch_size": 1', "its batch_size have None"),
        ('"progressive": False', "its progressive is None"),
    ],
)
def test_a_hello_without_a_field_is_refused(tmp_path: Path, change: str, reason: str) -> None:
    codec = codec_of(tmp_path, RAW.replace(change, change.replace('": ', '-of": ')))
    with no_hang(30), pytest.raises(Exception, match=f"does not start: .*{reason}"):
        codec.version  # noqa: B018


def test_memory_has_a_limit(tmp_path: Path) -> None:
    codec = codec_of(tmp_path, RAW + "held = b'x' * (1 << 30)\ntime.sleep(600)\n", memory_gib=0.5, timeout_s=60)
    with no_hang(60), pytest.raises(ProgramError, match=r"its processes held 0\.[5-9] GiB|held 1\.\d GiB"):
        codec.encode([IMAGE])


def test_a_flood_of_messages_is_no_fault_and_takes_no_memory(tmp_path: Path) -> None:
    flood = "def encode(image):\n    for _ in range(300): os.write(2, b'x' * (1 << 20))"
    codec = codec_of(tmp_path, CODEC.replace("def encode(image):", flood) + SERVE)
    with no_hang(120):
        np.testing.assert_array_equal(codec.decode(codec.encode([IMAGE]))[0], IMAGE)


def test_other_images_go_on(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    """A host that ends, then one that hangs: both images' rows have the reason, and the others are measured."""
    faults = "    if image[0, 0, 0] == 1: os._exit(7)\n    if image[0, 0, 0] == 2: time.sleep(600)\n"
    text = CODEC.replace("    height, width, _ = image.shape", f"{faults}    height, width, _ = image.shape") + SERVE
    images = [image.copy() for image in photographs_uint8[:4]]
    for image, first in zip(images, (5, 1, 2, 9), strict=True):
        image[0, 0, 0] = first
    codec = codec_of(tmp_path, text, timeout_s=2)
    begun = time.monotonic()
    rows = measure_images(codec, codec, images).rows
    assert time.monotonic() - begun < 60
    errors = [row.get("error") for row in rows]
    assert errors[0] is None
    assert errors[3] is None
    assert "ended with status 7" in errors[1]
    assert "was stopped after 2 s" in errors[2]
