"""Environments made from lock files, with real packages: once, by one process, and complete or not at all."""

from __future__ import annotations

import functools
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from deadline import no_hang

from uqdm.environments import EnvironmentMakeError, MadeEnvironment, environment
from uqdm.environments.stamp import STAMP, Stamp, read_stamp
from uqdm.environments.storage import VARIABLE, is_held, log_path

MAKE = "import sys; from uqdm.environments import environment; environment(sys.argv[1]).make(print)"
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def made_from(lock: Path, text: str | None = None) -> MadeEnvironment:
    if text is not None:
        lock.write_text(text)
    found = environment(str(lock))
    assert isinstance(found, MadeEnvironment)
    return found


def start_making(lock: Path, **variables: str) -> subprocess.Popen[str]:
    """Another process that makes the environment of a lock, and prints what it does."""
    command = [sys.executable, "-u", "-c", MAKE, str(lock)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **variables}
    )


def from_folder(folder: Path) -> str:
    """Options of a lock whose packages are the files of a folder."""
    return f"--no-index\n--find-links {folder}\n"


# ---- two processes at once ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """An environment that two processes made at once, and what they printed."""

    lock: Path
    folder: Path
    printed: list[str]


@pytest.fixture(scope="module")
def made(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """With ``--no-deps``: python-dateutil without six."""
    folder = tmp_path_factory.mktemp("two")
    lock = folder / "codec.txt"
    packages = "--no-deps\nidna==3.7\npython-dateutil==2.9.0.post0\n"
    lock.write_text(f"# python: {HERE}\n{from_folder(wheels)}{packages}")
    variables = {VARIABLE: str(folder / "stored"), "PYTHONPATH": "", "PIP_USER": "1", "PIP_TARGET": str(folder)}
    processes = [start_making(lock, **variables) for _ in range(2)]
    printed = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], printed
    return Made(lock, folder / "stored", printed)


@pytest.fixture
def codec(made: Made, monkeypatch: pytest.MonkeyPatch) -> MadeEnvironment:
    monkeypatch.setenv(VARIABLE, str(made.folder))
    return made_from(made.lock)


@pytest.mark.slow
def test_one_of_two_processes_makes_it_and_the_other_waits(made: Made, codec: MadeEnvironment) -> None:
    both = "".join(made.printed)
    assert both.count(f"{codec.folder.name}: making it in {codec.folder} (log: {log_path(codec.folder)})") == 1
    assert both.count(f"{codec.folder.name}: installing 2 requirements") == 1
    assert both.count("waiting for another process that makes it") == 1
    assert "removing" not in both
    assert log_path(codec.folder).read_text().count("-m venv") == 1


@pytest.mark.slow
def test_the_stamp_says_what_was_installed(made: Made, codec: MadeEnvironment) -> None:
    stamp = codec.stamp()
    assert stamp is not None
    assert (stamp.lock, stamp.sha256, stamp.unlocked) == (str(made.lock), codec.sha256, [])
    assert stamp.python == ".".join(map(str, sys.version_info[:3]))
    names = [line.partition("==")[0] for line in stamp.packages]
    assert {"idna==3.7", "python-dateutil==2.9.0.post0"} <= set(stamp.packages)
    assert "six" not in names
    assert codec.missing() is None


@pytest.mark.slow
def test_commands_run_in_it_alone(codec: MadeEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "idna.py").write_text("raise SystemExit('that of the caller')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("CONDA_PREFIX", "/of/the/caller")
    code = (
        "import idna, importlib.util, json, os, shutil, sys\n"
        "print(json.dumps([idna.__version__, sys.prefix, importlib.util.find_spec('six'), shutil.which('python'),\n"
        "    os.environ['VIRTUAL_ENV'], os.environ.get('CONDA_PREFIX'), importlib.util.find_spec('numpy')]))"
    )
    command = codec.command(["python", "-c", code])
    assert command[0] == str(codec.folder / "bin" / "python")
    done = subprocess.run(command, env=codec.variables(), capture_output=True, text=True, check=True)
    folder, program = str(codec.folder), str(codec.folder / "bin" / "python")
    assert json.loads(done.stdout) == ["3.7", folder, None, program, folder, None, None]


@pytest.mark.slow
def test_programs_that_it_lacks_come_from_the_path(codec: MadeEnvironment) -> None:
    assert codec.command(["sh", "-c", "exit"]) == ["sh", "-c", "exit"]
    assert codec.command(["./python"]) == ["./python"]
    assert codec.variables()["PATH"].split(os.pathsep)[0] == str(codec.folder / "bin")


@pytest.mark.slow
def test_it_is_made_once(codec: MadeEnvironment) -> None:
    before = (codec.folder / STAMP).stat().st_mtime_ns
    said: list[str] = []
    codec.make(said.append)
    assert said == []
    assert (codec.folder / STAMP).stat().st_mtime_ns == before


# ---- what is not complete -------------------------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "stored"))
    return tmp_path / "stored"


def test_missing_names_host_place_and_remedy(stored: Path, tmp_path: Path) -> None:
    codec = made_from(tmp_path / "codec.txt", "idna==3.7\n")
    begin = f"environment codec.txt is not made on {socket.gethostname()}: {codec.folder}"
    end = f"run `uqdm environments make {tmp_path}/codec.txt` there, or set {VARIABLE} to a folder that all nodes share"
    assert codec.missing() == f"{begin} is absent; {end}"
    codec.folder.mkdir(parents=True)
    assert codec.missing() == f"{begin} is not complete; {end}"


def test_a_stamp_of_another_lock_or_without_its_python_does_not_count(stored: Path, tmp_path: Path) -> None:
    codec = made_from(tmp_path / "codec.txt", "idna==3.7\n")
    (codec.folder / "bin").mkdir(parents=True)
    (codec.folder / "bin" / "python").symlink_to("/gone/python3")
    stamp = Stamp("codec.txt", codec.sha256, "3.11.7", [], [], "")
    stamp.write(codec.folder)
    assert codec.stamp() is None
    lacking = f"environment codec.txt cannot run on {socket.gethostname()}: its Python, /gone/python3, is not there; "
    assert str(codec.missing()).startswith(lacking)
    assert f"`uqdm environments remove {codec.folder.name}` and make it again" in str(codec.missing())
    with pytest.raises(EnvironmentMakeError, match="its Python, /gone/python3, is not there"):
        codec.make()  # other machines may use it
    assert (codec.folder / STAMP).exists()
    (codec.folder / "bin" / "python").unlink()
    (codec.folder / "bin" / "python").symlink_to(sys.executable)
    assert codec.missing() is None
    replace(stamp, sha256="0" * 64).write(codec.folder)
    assert "is not complete" in str(codec.missing())


@pytest.mark.slow
def test_a_package_that_does_not_exist_leaves_the_log_and_nothing_else(
    stored: Path, wheels: Path, tmp_path: Path
) -> None:
    codec = made_from(tmp_path / "codec.txt", f"{from_folder(wheels)}idna==3.7\nno-such-package==1.0\n")
    with pytest.raises(EnvironmentMakeError) as raised:
        codec.make()
    message = str(raised.value)
    assert message.startswith("environment codec.txt: pip failed with status 1: ERROR: Could not find a version")
    assert "no-such-package==1.0" in message
    assert message.endswith(f"; log: {log_path(codec.folder)}")
    assert "-m pip install -r" in log_path(codec.folder).read_text()
    assert not codec.folder.exists()
    assert codec.missing() is not None


@pytest.mark.proof
def test_an_installation_that_is_not_as_locked_is_an_error(
    stored: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_DRY_RUN", "1")
    codec = made_from(tmp_path / "codec.txt", f"{from_folder(wheels)}idna==3.7\n")
    with pytest.raises(
        EnvironmentMakeError, match=r"did not install what the lock says: idna==3.7 \(not installed\); l"
    ):
        codec.make()
    assert not codec.folder.exists()


class SlowIndex:
    """An index of packages: the first request for a package waits until it is released, and then fails."""

    def __init__(self, packages: Path) -> None:
        self.asked = threading.Event()
        self.released = threading.Event()
        index = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                if not index.asked.is_set():
                    index.asked.set()
                    index.released.wait()
                    self.send_error(404)
                    return
                super().do_GET()

            def log_message(self, format: str, *args: object) -> None:
                pass

        handler = functools.partial(Handler, directory=str(packages))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def slow_index(wheels: Path, tmp_path: Path) -> Iterator[SlowIndex]:
    (tmp_path / "index" / "idna").mkdir(parents=True)
    (wheel,) = wheels.glob("idna-*.whl")
    (tmp_path / "index" / "idna" / wheel.name).write_bytes(wheel.read_bytes())
    index = SlowIndex(tmp_path / "index")
    yield index
    index.close()


@pytest.mark.slow
def test_what_a_killed_process_left_is_removed_and_made_anew(
    stored: Path, slow_index: SlowIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pip still runs, and is waited for: two of them never write into one folder. The lock names no version."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    codec = made_from(tmp_path / "codec.txt", f"--index-url {slow_index.address}\nidna\n")
    with no_hang(300):
        first = start_making(codec.file)
        assert slow_index.asked.wait(120)
        os.kill(first.pid, signal.SIGKILL)
        first.communicate()
        assert codec.folder.is_dir()
        assert "is not complete" in str(codec.missing())
        assert is_held(codec.folder)

        second = start_making(codec.file)
        assert second.stdout is not None
        assert "waiting for another process that makes it" in second.stdout.readline()
        time.sleep(0.2)
        assert second.poll() is None
        slow_index.released.set()
        printed, _ = second.communicate()
    assert second.returncode == 0, printed
    assert "removing what an earlier attempt left" in printed
    assert codec.missing() is None
    stamp = codec.stamp()
    assert stamp is not None
    assert stamp.unlocked == ["idna"]
    assert "idna==3.7" in stamp.packages
    assert not is_held(codec.folder)


@pytest.mark.slow
def test_ctrl_c_ends_pip_and_leaves_nothing(
    stored: Path, slow_index: SlowIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    codec = made_from(tmp_path / "codec.txt", f"--index-url {slow_index.address}\nidna==3.7\n")
    with no_hang(300):
        process = start_making(codec.file)
        assert slow_index.asked.wait(120)
        os.kill(process.pid, signal.SIGINT)
        process.communicate()
        assert process.returncode != 0
        assert not is_held(codec.folder)
    assert not codec.folder.exists()


# ---- Pythons --------------------------------------------------------------------------------------------------


def test_a_python_that_is_not_here_is_an_error_before_anything_is_made(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that only says so, as those of tools that choose among versions do, is none."""
    version = "3.8"
    codec = made_from(tmp_path / "codec.txt", f"# python: {version}\nidna==3.7\n")
    program = tmp_path / "bin" / f"python{version}"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'python: command not found' >&2\nexit 127\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    expected = rf"{socket.gethostname()} has no python3\.8 on PATH that runs, which {codec.file} names; install it, or"
    with pytest.raises(EnvironmentMakeError, match=expected):
        codec.make()
    assert not stored.exists()


def other_python() -> Path | None:
    """A Python of another version that can make virtual environments, on the path or among those of pyenv."""
    folders = [*os.environ["PATH"].split(os.pathsep), *map(str, Path.home().glob(".pyenv/versions/3.*/bin"))]
    for folder in folders:
        for program in Path(folder).glob("python3.*"):
            version = program.name.removeprefix("python")
            code = "import ensurepip, sys; print(*sys.version_info[:2], sep='.')"
            if version.replace(".", "").isdigit() and version != HERE and int(version.partition(".")[2]) >= 9:
                done = subprocess.run([program, "-I", "-c", code], capture_output=True, text=True, check=False)
                if done.stdout.strip() == version:
                    return program
    return None


@pytest.mark.slow
def test_the_lock_chooses_the_version_of_python(
    stored: Path, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = other_python()
    if program is None:
        pytest.skip("needs another version of Python, 3.9 or later")
    version = program.name.removeprefix("python")
    monkeypatch.setenv("PATH", os.pathsep.join([str(program.parent), os.environ["PATH"]]))
    codec = made_from(tmp_path / "codec.txt", f"# python: {version}\n{from_folder(wheels)}idna==3.7\n")
    codec.make()
    stamp = codec.stamp()
    assert stamp is not None
    assert stamp.python.startswith(f"{version}.")
    assert codec.identity.endswith(f", Python {version}")
    code = "import idna, sys; print(*sys.version_info[:2], sep='.')"
    command = codec.command([f"python{version}", "-c", code])
    done = subprocess.run(command, env=codec.variables(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == version


def test_a_place_that_cannot_be_written_is_an_error_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "/proc/none")
    with pytest.raises(OSError, match=rf"^/proc/none: cannot be written .*; set {VARIABLE} to a folder that can$"):
        made_from(tmp_path / "codec.txt", "idna==3.7\n").make()
    assert read_stamp(Path("/proc/none")) is None
