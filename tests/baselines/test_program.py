"""Programs as codecs: real programs if they are installed, and otherwise a small script."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from deadline import no_hang

from uqdm.bench.evaluation.measure import measure_images
from uqdm.bench.run.codec_settings import format_request, parse_request, requests_from_mapping, resolve
from uqdm.bench.run.picture_hash import picture_sha256
from uqdm.codec import Codec, CodecUnavailableError, ParameterError, StreamError, get_codec, register_codec
from uqdm_baselines._process import FOLDER_PREFIX, call_folder
from uqdm_baselines.program import Program

pytestmark = pytest.mark.slow

COPY = "cp {input} {output}"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "programs.md"


def _blocks(language: str) -> list[str]:
    return [block.split("\n", 1)[1] for block in DOCS.read_text().split("```")[1::2] if block.startswith(language)]


def _of_the_docs(index: int, program: str) -> list[dict[str, Any]]:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    return yaml.safe_load(_blocks("yaml")[index])["program"]


def _psnr_db(codec: Codec, images: list[np.ndarray]) -> float:
    decoded = codec.decode(codec.encode(images))
    return float(10 * np.log10(255**2 / np.mean((np.array(decoded, float) - np.array(images)) ** 2)))


def _script(folder: Path, body: str) -> str:
    """A command that runs these lines of Python with the two files as arguments."""
    path = folder / "script.py"
    path.write_text(f"import os, sys, time\n{body}\n")
    return f"{sys.executable} {path} {{input}} {{output}}"


def test_cjxl_as_the_docs_show_it(photographs_uint8: list[np.ndarray]) -> None:
    codecs = [get_codec("program", **settings) for settings in _of_the_docs(0, "cjxl")]
    assert codecs[0].version.startswith("cjxl v")
    assert codecs[0].encode(photographs_uint8[:1])[0].startswith(b"\xff\x0a")  # a bare JPEG XL codestream
    quality = [_psnr_db(codec, photographs_uint8[:3]) for codec in codecs]
    assert quality == sorted(quality)
    assert quality[-1] > 30


def test_opj_compress_as_the_docs_show_it(photographs_uint8: list[np.ndarray]) -> None:
    (settings,) = _of_the_docs(1, "opj_compress")
    codec = get_codec("program", **settings)
    assert "openjp2 library v" in codec.version
    twin = get_codec("jpeg2000", layers="20,10,5", transform="ict-9/7")
    for stream, other in zip(codec.encode(photographs_uint8[:3]), twin.encode(photographs_uint8[:3]), strict=True):
        assert abs(len(stream) - len(other)) <= 64  # comment and boxes may differ between two releases
    difference = _psnr_db(codec, photographs_uint8[:3]) - _psnr_db(twin, photographs_uint8[:3])
    assert abs(difference) < 0.5


def test_the_class_of_the_docs_is_a_separate_codec(photographs_uint8: list[np.ndarray]) -> None:
    if shutil.which("cjxl") is None:
        pytest.skip("cjxl is not installed")
    names: dict[str, Any] = {"__name__": "cjxl_codec"}
    exec(_blocks("python")[0], names)
    codec = get_codec(register_codec(names["CJXL"]).name, quality=50)
    assert codec.decode(codec.encode(photographs_uint8[:1]))[0].shape == (64, 64, 3)


def test_rows_carry_rate_version_and_container(photographs_uint8: list[np.ndarray]) -> None:
    codec = get_codec("program", encode=COPY, decode=COPY, suffix=".png", picture=".ppm")
    measured = measure_images(codec, codec, photographs_uint8[:2])
    sizes = [8 * len(stream) for stream in measured.streams if stream is not None]
    assert [row["file_bits"] for row in measured.rows] == sizes == [8 * (13 + 64 * 64 * 3)] * 2  # "P6 64 64 255"
    assert [row["picture_sha256"] for row in measured.rows] == [
        picture_sha256(image) for image in photographs_uint8[:2]
    ]
    assert codec.black_pixel_bits == 8 * (11 + 3)
    assert codec.version.startswith("cp sha256:")


def test_the_error_of_a_failed_program_contains_its_output(photographs_uint8: list[np.ndarray], tmp_path: Path) -> None:
    command = _script(tmp_path, "print('x' * 9999, file=sys.stderr); sys.exit('no such colour')")
    codec = get_codec("program", encode=command, decode=COPY)
    (row,) = measure_images(codec, codec, photographs_uint8[:1]).rows
    assert row["status"] == "failed"
    assert "failed with status 1: ..." in row["error"]
    assert row["error"].endswith("no such colour")


def test_a_stream_that_the_program_refuses_is_a_stream_error(tmp_path: Path) -> None:
    codec = get_codec("program", encode=COPY, decode=_script(tmp_path, "sys.exit('bad magic')"))
    with pytest.raises(StreamError, match="bad magic"):
        codec.decode([b"junk"])
    with pytest.raises(StreamError, match="cannot identify"):
        get_codec("program", encode=COPY, decode=COPY).decode([b"junk"])


def test_a_program_without_an_output_file_fails_with_that_reason(photographs_uint8: list[np.ndarray]) -> None:
    codec = get_codec("program", encode="true {input} {output}", decode=COPY, suffix=".xyz")
    with pytest.raises(RuntimeError, match=r"wrote no output\.xyz: it printed nothing"):
        codec.encode(photographs_uint8[:1])


def test_a_program_over_its_time_limit_is_killed_with_its_children(
    photographs_uint8: list[np.ndarray], tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    body = f"child = os.fork() or time.sleep(600)\nopen({str(pid)!r}, 'w').write(str(child))\ntime.sleep(600)"
    codec = get_codec("program", encode=_script(tmp_path, body), decode=COPY, timeout_s=1)
    with no_hang(), pytest.raises(RuntimeError, match="was stopped after 1 s"):
        codec.encode(photographs_uint8[:1])
    assert not _alive(int(pid.read_text()))


def _alive(pid: int) -> bool:
    """True if a process runs; one that is dead but not yet reaped by its new parent does not."""
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(50):
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return False
        except (FileNotFoundError, ProcessLookupError):
            return False
        time.sleep(0.1)
    return True


def test_values_are_not_interpreted_by_a_shell_and_stay_one_argument(
    photographs_uint8: list[np.ndarray], tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    body = "open(sys.argv[2], 'w').write(repr(sys.argv[3:]))"
    quality = f"1 2; touch {marker} $(touch {marker}) {{input}}"
    codec = get_codec("program", encode=_script(tmp_path, body) + " -q {quality}", decode=COPY, quality=quality)
    (stream,) = codec.encode(photographs_uint8[:1])
    assert stream.decode() == repr(["-q", quality])
    assert not marker.exists()


def test_each_call_has_a_temporary_folder_that_is_removed_afterwards(
    photographs_uint8: list[np.ndarray], tmp_path: Path
) -> None:
    body = "open('left behind', 'x')\nopen(sys.argv[2], 'w').write(os.getcwd())"
    codec = get_codec("program", encode=_script(tmp_path, body), decode=COPY)
    folders = [stream.decode() for stream in codec.encode(photographs_uint8[:3])]
    assert len(set(folders)) == 3
    assert not any(os.path.exists(folder) for folder in folders)


def test_the_version_changes_with_the_script(tmp_path: Path) -> None:
    codec = get_codec("program", encode=_script(tmp_path, "1"), decode=COPY)
    before = codec.version
    _script(tmp_path, "2")
    os.utime(tmp_path / "script.py", ns=(1, 1))
    assert codec.version != before


def test_a_program_that_is_not_installed_is_skipped_with_the_reason() -> None:
    missing = {"encode": "no-such-program {input} {output}", "decode": COPY}
    codec_settings = resolve(requests_from_mapping({"program": [missing]}))["program"]
    assert "no program 'no-such-program' on PATH" in str(codec_settings[0].missing)
    unset = resolve(requests_from_mapping({"program": None}))["program"]
    assert "has no program; set encode and decode" in str(unset[0].missing)
    with pytest.raises(CodecUnavailableError, match="has no program"):
        get_codec("program").encode([np.zeros((1, 1, 3), np.uint8)])


def test_streams_have_the_suffix_of_the_setting() -> None:
    (codec_setting,) = resolve([parse_request(f"program:encode={COPY},decode={COPY},suffix=.xyz")])["program"]
    assert codec_setting.suffix == ".xyz"


def test_settings_pass_a_command_line_unchanged() -> None:
    settings = {"encode": "opj -i {input} -o {output} -r {quality} -a=1", "decode": COPY, "quality": "20,10,5"}
    (request,) = requests_from_mapping({"program": settings})
    assert parse_request(format_request(request)) == request


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"encode": COPY}, "set both encode and decode"),
        ({"encode": "cp {input} out", "decode": COPY}, "must both be in it"),
        ({"encode": "cp {input} {output} {speed}", "decode": COPY}, "{speed} is not one of"),
        ({"encode": "cp {input} {output} {quality}", "decode": COPY}, "set quality too"),
        ({"encode": COPY, "decode": COPY, "quality": "5"}, "no command has {quality}"),
        ({"encode": "cp '{input} {output}", "decode": COPY}, "No closing quotation"),
        ({"encode": COPY, "decode": COPY, "suffix": "../x"}, "expected a dot and letters"),
        ({"encode": COPY, "decode": COPY, "quality": "1,a=2"}, "would read as another parameter"),
        ({"encode": COPY, "decode": COPY, "timeout_s": 0}, "at least"),
    ],
)
def test_a_wrong_setting_is_reported_before_anything_runs(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Program(**values)


# ---- programs that misbehave ----------------------------------------------------------------------------------

# In each, `inp` and `out` are the two files, and `folder` is theirs; `child` starts a process that says that it lives.
HEAD = """
import shutil, signal, subprocess
inp, out = sys.argv[1:3]
folder = os.path.dirname(inp)
def child(**options):
    pid = subprocess.Popen(["sleep", "60"], **options).pid
    open({pids!r}, "a").write(f"{pid}\\n")
def above(pid): return int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
"""
GOOD = "shutil.copy(inp, out)"
MISBEHAVIOUR: dict[str, tuple[str, str]] = {
    "a child in a separate session": (f"child(start_new_session=True); {GOOD}", ""),
    "a child in its group": (f"child(); {GOOD}", ""),
    "a daemon": (f"if os.fork() == 0:\n    os.setsid(); os.fork() or child(); os._exit(0)\nos.wait(); {GOOD}", ""),
    "hangs with children": ("child(); child(start_new_session=True); time.sleep(60)", "was stopped after 1 s"),
    "ignores SIGTERM": ("signal.signal(15, signal.SIG_IGN); child(); time.sleep(60)", "was stopped after 1 s"),
    "prints without end": ("while True: os.write(1, b'x' * 2**20)", "was stopped after"),
    "a link": ("os.symlink('/etc/hostname', out)", "output.bin is a link, not a regular file"),
    "a link to its input": ("os.symlink(inp, out)", "output.bin is a link"),
    "a link to a device": ("os.symlink('/dev/zero', out)", "output.bin is a link"),
    "a folder": ("os.mkdir(out)", "output.bin is a folder"),
    "a FIFO": ("os.mkfifo(out)", "output.bin is a FIFO"),
    "a large file": ("open(out, 'wb').truncate(20 << 30)", "File too large"),
    "a file of many bytes": ("open(out, 'wb').write(bytes(3 << 20))", "File too large"),
    "killed by the limit": (
        "signal.signal(signal.SIGXFSZ, signal.SIG_DFL); os.truncate(out if open(out, 'w') else '', 3 << 20)",
        f"failed with signal {int(signal.SIGXFSZ)}",
    ),
    "removes its folder": ("shutil.rmtree(folder)", "wrote no output.bin"),
    "locks its folder": (f"{GOOD}; os.mkdir('a'); open('a/b', 'w'); os.chmod('a', 0); os.chmod(folder, 0)", ""),
    "a deep folder": ("for _ in range(1100): os.mkdir('x'); os.chdir('x')", "wrote no output.bin"),
    "terminates its parent": ("child(); os.kill(os.getppid(), 15)", "wrote no output.bin"),
    "kills its parent": (
        f"{GOOD}; child(start_new_session=True); os.kill(os.getppid(), 9); time.sleep(60)",
        "killed or stopped its supervisor",
    ),
    "kills what is above its parent": (
        "child(start_new_session=True); os.kill(above(os.getppid()), 9); time.sleep(60)",
        "its supervisor was killed",
    ),
    "kills its group": ("child(); os.kill(0, 9)", "failed with signal 9"),
    "reads stdin": (f"print('has', len(sys.stdin.read())); {GOOD}", ""),
    "prints escapes": (
        "os.write(1, b'\\0\\xff\\x1b[31m<script>\\r\\n\\xe2\\x80\\xae'); sys.exit(3)",
        "failed with status 3: \\x00\ufffd\\x1b[31m<script> \\u202e",
    ),
}


@pytest.fixture
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere only the group of a program is killed")
@pytest.mark.parametrize("case", MISBEHAVIOUR)
def test_a_misbehaving_program_leaves_only_a_failed_row(
    case: str, photographs_uint8: list[np.ndarray], tmp_path: Path, own_temporary_folder: Path
) -> None:
    body, reason = MISBEHAVIOUR[case]
    pids = tmp_path / "pids"
    pids.touch()
    command = _script(tmp_path, HEAD.replace("{pids!r}", repr(str(pids))) + body)
    limits = {"timeout_s": 1 if "stopped" in reason or "without end" in case else 20, "output_mib": 1}
    codec = get_codec("program", encode=command.replace(" ", " -S ", 1), decode=COPY, picture=".ppm", **limits)
    (row,) = measure_images(codec, codec, photographs_uint8[:1]).rows
    assert row["status"] == ("failed" if reason else "ok")
    assert reason in row.get("error", "")
    assert row.get("error", "").isprintable()
    assert [pid for pid in pids.read_text().split() if Path(f"/proc/{pid}").exists()] == []
    assert list(own_temporary_folder.iterdir()) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
@pytest.mark.parametrize("with_supervisor", [False, True])
def test_a_program_dies_with_the_worker_that_is_killed(
    with_supervisor: bool, tmp_path: Path, own_temporary_folder: Path
) -> None:
    pids = tmp_path / "pids"
    body = HEAD.replace("{pids!r}", repr(str(pids))) + "child(); child(start_new_session=True); time.sleep(60)"
    worker = (
        f"import numpy as np; from uqdm_baselines.program import Program\nProgram(encode={_script(tmp_path, body)!r}, "
    )
    worker += f"decode={COPY!r}).encode([np.zeros((2, 2, 3), np.uint8)])"
    environment = {**os.environ, "TMPDIR": str(own_temporary_folder)}
    process = subprocess.Popen([sys.executable, "-c", worker], env=environment)
    while not pids.exists() or len(pids.read_text().split()) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    doomed = [process.pid]
    if with_supervisor:
        children = {int(path.name): path for path in Path("/proc").iterdir() if path.name.isdigit()}
        doomed += [pid for pid, path in children.items() if _parent(path) == process.pid]
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)
    process.wait()
    assert not any(_alive(int(pid)) for pid in pids.read_text().split())
    for _ in range(100):
        if not list(own_temporary_folder.iterdir()):
            return
        time.sleep(0.05)
    raise AssertionError(f"left: {list(own_temporary_folder.iterdir())}")


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def test_only_folders_of_killed_runs_are_removed(own_temporary_folder: Path) -> None:
    left = own_temporary_folder / f"{FOLDER_PREFIX}left"
    (left / "a" / "b").mkdir(parents=True)
    (left / "a" / "b" / "file").write_text("left")
    process = subprocess.Popen(["sleep", "60"], cwd=left / "a", start_new_session=True)
    (left / "a").chmod(0)
    (own_temporary_folder / "other").mkdir()
    (own_temporary_folder / f"{FOLDER_PREFIX}link").symlink_to(own_temporary_folder / "other")
    with call_folder() as mine:
        script = "from uqdm_baselines._process import sweep_folders; sweep_folders()"
        environment = {**os.environ, "TMPDIR": str(own_temporary_folder)}
        subprocess.run([sys.executable, "-c", script], env=environment, check=True)
        names = {path.name for path in own_temporary_folder.iterdir()}
        assert names == {"other", f"{FOLDER_PREFIX}link", mine.path.name}
        assert process.wait(10) == -signal.SIGKILL or not sys.platform.startswith("linux")


def test_palettes_are_read_by_the_rule_for_images_and_deep_pictures_refused(tmp_path: Path) -> None:
    levels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5
    palette = "from PIL import Image; Image.open(sys.argv[1]).convert('RGB').quantize(256).save(sys.argv[2])"
    codec = get_codec("program", encode=COPY, decode=_script(tmp_path, palette), suffix=".png")
    assert np.array_equal(codec.decode(codec.encode([levels]))[0], levels)
    deep = "import numpy; from PIL import Image; "
    deep += "Image.fromarray(numpy.full((4, 4), 257, numpy.uint16)).save(sys.argv[2])"
    codec = get_codec("program", encode=COPY, decode=_script(tmp_path, deep), suffix=".png")
    with pytest.raises(StreamError, match="the program wrote: 16 bits a channel"):
        codec.decode([b"any"])
