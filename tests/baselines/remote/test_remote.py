"""Codecs in environments of their own: calls, versions, faults of the codec, points and estimates."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hosts import CODEC, SERVE, codec_of

from uqdm.bench.evaluation.measure import measure_images
from uqdm.bench.run.codec_settings import requests_from_mapping, resolve
from uqdm.codec import (
    CodecUnavailableError,
    NoFileError,
    ParameterError,
    StreamError,
    get_codec,
)
from uqdm_baselines._process import ProgramError
from uqdm_baselines.remote import frames
from uqdm_baselines.remote.host_file import uqdm_codec_host

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UQDM_CACHE", str(tmp_path / "cache"))


def test_images_come_back_and_one_process_serves_all_calls(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    codec = codec_of(tmp_path, CODEC + SERVE)
    host = codec.session
    images = [photographs_uint8[0], photographs_uint8[1][:5, :7], np.zeros((1, 1, 3), np.uint8)]
    streams = codec.encode(images)
    process = host._host
    assert [len(stream) for stream in codec.encode(images)] == list(map(len, streams))
    for image, decoded in zip(images, codec.decode(streams), strict=True):
        np.testing.assert_array_equal(decoded, image)
    assert host._host is process
    assert [(point.name, point.n_bytes) for point in codec.points(streams[0])] == [("full", len(streams[0]))]


def test_the_version_has_codec_software_and_files(tmp_path: Path) -> None:
    codec = codec_of(tmp_path, CODEC + SERVE.replace(")", ', parameters={"layers": 4})'))
    python = ".".join(map(str, sys.version_info[:3]))
    assert codec.version.startswith(f"mine 1.0 (layers 4; Python {python}, numpy {np.__version__}), ")
    assert "host.py sha256:" in codec.version
    changed = codec_of(tmp_path, CODEC + SERVE + "\n# changed")
    assert changed.version != codec.version


def test_the_version_is_told_without_a_start_the_next_time(tmp_path: Path) -> None:
    first = codec_of(tmp_path, CODEC + SERVE)
    assert type(first).version_of(**first.values) == first.version
    again = codec_of(tmp_path, CODEC + SERVE)
    assert again.version == first.version
    assert again.session._host is None
    assert again.device == "cpu"
    assert again.session._host is not None


def test_an_environment_that_changed_unseen_is_an_error(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    """The host reads its version from elsewhere: no hash of the command's files shows that."""
    note = tmp_path / "version.txt"
    note.write_text("1.0")
    text = CODEC + f'serve(encode, decode, name="mine", version=open({str(note)!r}).read())'
    assert codec_of(tmp_path, text).version.startswith("mine 1.0")
    note.write_text("2.0")
    codec = codec_of(tmp_path, text)
    assert codec.version.startswith("mine 1.0")
    with pytest.raises(CodecUnavailableError, match=r"has mine 2\.0 .* by now, not mine 1\.0 .*: run again"):
        codec.encode(photographs_uint8[:1])
    assert codec_of(tmp_path, text).version.startswith("mine 2.0")


def test_faults_of_the_codec_are_reported_and_its_host_stays(
    tmp_path: Path, photographs_uint8: list[np.ndarray]
) -> None:
    text = CODEC.replace("    height, width, _ =", "    assert image.any(), 'black'\n    height, width, _ =") + SERVE
    codec = codec_of(tmp_path, text)
    (stream,) = codec.encode(photographs_uint8[:1])
    process = codec.session._host
    with pytest.raises(StreamError, match="StreamError: no size"):
        codec.decode([b"abc"])
    with pytest.raises(StreamError, match="while decompressing"):
        codec.decode([stream[:-20]])
    with pytest.raises(ProgramError, match="AssertionError: black"):
        codec.encode([np.zeros((4, 4, 3), np.uint8)])
    assert codec.session._host is process
    np.testing.assert_array_equal(codec.decode([stream])[0], photographs_uint8[0])


def test_what_a_codec_prints_does_not_disturb(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    noisy = 'print("x" * 1_000_000); os.system("echo from a child"); os.write(1, b"UQCH and bytes")'
    codec = codec_of(tmp_path, CODEC.replace("def encode(image):", f"def encode(image):\n    {noisy}") + SERVE)
    for _ in range(2):
        streams = codec.encode(photographs_uint8[:1])
        np.testing.assert_array_equal(codec.decode(streams)[0], photographs_uint8[0])


def test_lists_go_to_a_codec_that_takes_them(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    text = CODEC + (
        "def both(function):\n"
        "    def every(items):\n"
        "        print(len(items), file=sys.stderr)\n"
        "        return [function(item) for item in items]\n"
        "    return every\n"
        'serve(both(encode), both(decode), name="mine", version="1", batched=True, batch_size=5)\n'
    )
    codec = codec_of(tmp_path, text)
    assert codec.batch_size == 5
    assert codec_of(tmp_path, text, batch=3).batch_size == 3
    np.testing.assert_array_equal(codec.decode(codec.encode(photographs_uint8[:3])), photographs_uint8[:3])
    few = codec_of(tmp_path, text.replace("for item in items]", "for item in items][1:]"))
    with pytest.raises(ProgramError, match="encode returned 2 results for 3"):
        few.encode(photographs_uint8[:3])


PROGRESSIVE = '''
import numpy as np
from uqdm_codec_host import Stream, serve

PLANES = 8

def encode(image):
    """The bits of all values, the highest plane first."""
    planes = [np.packbits(image >> plane & 1).tobytes() for plane in reversed(range(PLANES))]
    head = np.array(image.shape[:2], "<u2").tobytes()
    ends = len(head) + np.cumsum([len(plane) for plane in planes])
    return Stream(head + b"".join(planes), {name: 8.0 * end - 32 for name, end in zip(names(), ends)})

def names():
    return ["plane {}".format(number) for number in range(1, PLANES + 1)]

def points(stream):
    height, width = map(int, np.frombuffer(stream[:4], "<u2"))
    size = -(-3 * height * width // 8)
    return [(name, 4 + (number + 1) * size) for number, name in enumerate(names())]

def decode(stream):
    height, width = map(int, np.frombuffer(stream[:4], "<u2"))
    count = 3 * height * width
    size = -(-count // 8)
    image = np.zeros(count, int)
    held = (len(stream) - 4) // size
    for number in range(held):
        bits = np.frombuffer(stream[4 + number * size :], np.uint8)[:size]
        image |= np.unpackbits(bits)[:count].astype(int) << (PLANES - 1 - number)
    image += (1 << (PLANES - held)) // 2
    return image.astype(np.uint8).reshape(height, width, 3)

serve(encode, decode, name="planes", version="1", points=points)
'''


def test_points_and_their_rates_come_through(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    codec = codec_of(tmp_path, PROGRESSIVE)
    image = photographs_uint8[0]
    rows = measure_images(codec, codec, [image]).rows
    names = [f"plane {number}" for number in range(1, 9)]
    assert [row["point"] for row in rows] == names
    size = -(-image.size // 8)
    assert [row["file_bits"] for row in rows] == [8 * (4 + number * size) for number in range(1, 9)]
    assert [row["ideal_bits"] for row in rows] == [8 * number * size for number in range(1, 9)]
    (stream,) = codec.encode([image])
    pictures = [found.image_uint8 for found in codec.reconstructions(stream)]
    errors = [np.abs(picture.astype(int) - image).max() for picture in pictures]
    assert errors == [64, 32, 16, 8, 4, 2, 1, 0]
    # The picture of a point is that of its prefix alone.
    np.testing.assert_array_equal(codec.decode([stream[: 4 + 3 * size]])[0], pictures[2])


def test_settings_share_a_label_unless_the_codec_is_progressive(tmp_path: Path) -> None:
    (tmp_path / "host.py").write_text(CODEC + SERVE)
    (tmp_path / "planes.py").write_text(PROGRESSIVE)

    def labels(script: str) -> list[str | None]:
        command = f"{sys.executable} {tmp_path / script} {{quality}}"
        requests = requests_from_mapping({"remote": {"command": command, "quality": [1, 3], "label": "mine"}})
        return [setting.label for found in resolve(requests).values() for setting in found]

    assert labels("host.py") == ["mine", "mine"]
    with pytest.raises(ParameterError, match="'mine' is given to two curves"):
        labels("planes.py")


def test_estimates_are_ideal_rates(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    encode = "def encode(image): return Stream(np.array(image.shape, '<u4').tobytes() + image.tobytes(), 1234.5)\n"
    decode = (
        "def decode(record): return np.frombuffer(record[12:], np.uint8).reshape(np.frombuffer(record[:12], '<u4'))\n"
    )
    text = f"import numpy as np\nfrom uqdm_codec_host import Stream, serve\n{encode}{decode}"
    text += 'serve(encode, decode, name="guess", version="1", estimate=True)'
    codec = codec_of(tmp_path, text, name="remote-estimate")
    rows = measure_images(codec, codec, photographs_uint8[:1]).rows
    assert [(row["ideal_bits"], row["file_bits"], row["bpp"]) for row in rows] == [(1234.5, None, None)]
    with pytest.raises(NoFileError):
        codec.encode(photographs_uint8[:1])
    with pytest.raises(CodecUnavailableError, match=r"estimates rates .*: use the codec 'remote-estimate'"):
        codec_of(tmp_path, text).version  # noqa: B018
    with pytest.raises(CodecUnavailableError, match="makes streams: use the codec 'remote'"):
        codec_of(tmp_path, CODEC + SERVE, name="remote-estimate").version  # noqa: B018
    silent = codec_of(tmp_path, text.replace(", 1234.5)", ")"), name="remote-estimate")
    with pytest.raises(ProgramError, match="told no ideal bits"):
        silent.encode_detailed(photographs_uint8[:1])


@pytest.mark.parametrize(
    ("parameters", "fault", "message"),
    [
        ({}, CodecUnavailableError, "has no host; set command"),
        ({"command": "no-such-program x"}, CodecUnavailableError, "no-such-program"),
        ({"command": "python host.py {quality}"}, ParameterError, "it asks for {quality}; set quality too"),
        ({"command": "python host.py", "quality": "1"}, ParameterError, "has no {quality}"),
        ({"command": "python {model}", "quality": ""}, ParameterError, "'model'"),
        ({"command": "python 'x"}, ParameterError, "No closing quotation"),
        ({"command": "sleep 60", "start_s": 0.2}, CodecUnavailableError, "was stopped after 0.2 s"),
        ({"command": "false"}, CodecUnavailableError, "ended with status 1: it printed nothing"),
        ({"command": "ls /no/such/folder"}, CodecUnavailableError, "ended with status 2: .*cannot access"),
    ],
)
def test_settings_that_cannot_work_say_why(parameters: dict[str, Any], fault: type[Exception], message: str) -> None:
    with pytest.raises(fault, match=message):
        get_codec("remote", **parameters).version  # noqa: B018


def test_nothing_outlives_the_codec(tmp_path: Path, photographs_uint8: list[np.ndarray]) -> None:
    """Nor a process that is killed: children in sessions of their own end with it."""
    note = tmp_path / "children.txt"
    child = "import subprocess; child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
    child += f"open({str(note)!r}, 'a').write('{{}} {{}}\\n'.format(child.pid, os.getpid()))\n"
    codec = codec_of(tmp_path, CODEC + child + SERVE)
    codec.encode(photographs_uint8[:1])
    codec.session.close()
    script = (
        "import os, signal\nimport numpy as np\nfrom uqdm.codec import get_codec\n"
        f"get_codec('remote', command={codec.values['command']!r}).encode([np.zeros((8, 8, 3), np.uint8)])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    processes = [int(word) for word in note.read_text().split()]
    assert len(processes) == 4
    deadline = time.monotonic() + 20
    while any(map(_lives, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_lives, processes))


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_modules_of_the_benchmark_do_not_hide_those_of_others(tmp_path: Path) -> None:
    own = [file.stem for file in Path(frames.__file__).parent.glob("*.py") if file.stem != "__init__"]
    assert "codec" in own
    text = f"""import importlib.util
found = [name for name in {own!r} if name != "host" and importlib.util.find_spec(name)]
"""
    codec = codec_of(tmp_path, text + CODEC + SERVE.replace('"1.0"', "str(found)"))
    assert codec.version.startswith("mine [] ")


def test_both_sides_have_one_protocol() -> None:
    here = (frames.PROTOCOL, frames.MAGIC, frames.FRAME.format, frames.MOST_HEAD_BYTES)
    host = uqdm_codec_host
    assert here == (host.PROTOCOL, host.MAGIC, host.FRAME.format, host.MOST_HEAD_BYTES)


def test_the_host_file_needs_no_newer_python_and_numpy_alone() -> None:
    import ast

    text = Path(uqdm_codec_host.__file__).read_text()
    tree = ast.parse(text, feature_version=(3, 8))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names - set(sys.stdlib_module_names) == {"numpy"}


def test_a_script_checks_itself_in_a_terminal(tmp_path: Path) -> None:
    import pty

    for text, found in ((CODEC + SERVE, "It works"), (PROGRESSIVE, "plane 3: ")):
        (tmp_path / "host.py").write_text(text)
        ours, theirs = pty.openpty()
        variables = {**os.environ, "PYTHONPATH": str(Path(uqdm_codec_host.__file__).parent)}
        done = subprocess.run(
            [sys.executable, tmp_path / "host.py"], stdin=theirs, capture_output=True, env=variables, timeout=60
        )
        os.close(ours)
        os.close(theirs)
        assert done.returncode == 0, done.stderr
        assert found in done.stdout.decode()
