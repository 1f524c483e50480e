"""Files are complete or absent; links, devices and FIFOs stay; no file of others is replaced by mistake."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from uqdm.files import replacing, sweep_temporaries, write_bytes
from uqdm.output import STANDARD, OutputError, check_output, is_json_object, is_text

PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with contextlib.suppress(RuntimeError), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_keeps_its_mode_and_a_new_one_has_the_umask(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.touch()
    old.chmod(0o604)
    before = os.umask(0o027)
    try:
        write_bytes(old, b"x")
        write_bytes(new, b"x")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (old, new)] == [0o604, 0o640]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_a_file_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    os.chown(path, 12345, 54321)
    write_bytes(path, b"x")
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


def test_links_stay_and_their_targets_are_replaced_or_created(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("second")
    (tmp_path / "second").symlink_to("folder/file")
    for data in (b"made", b"replaced"):
        write_bytes(tmp_path / "link", data)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "second").is_symlink()
        assert (tmp_path / "folder" / "file").read_bytes() == data
    assert os.listdir(tmp_path / "folder") == ["file"]
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(OSError, match="circle"):
        write_bytes(tmp_path / "circle", b"x")


def test_a_fifo_is_written_to(tmp_path: Path) -> None:
    fifo, data = tmp_path / "fifo", os.urandom(300_000)
    os.mkfifo(fifo)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    reader.start()
    write_bytes(fifo, data)
    reader.join(20)
    assert read == [data]
    assert fifo.is_fifo()
    assert os.listdir(tmp_path) == ["fifo"]


def test_a_fifo_without_a_reader_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uqdm.files._READER_SECONDS", 0.1)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="start the reader"):
        write_bytes(tmp_path / "fifo", b"x")


def test_a_device_is_written_to(tmp_path: Path) -> None:
    device = tmp_path / "null"
    try:
        os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        device.write_bytes(b"")
    except PermissionError:
        pytest.skip("only root makes devices, and not in every container")
    check_output(device)
    write_bytes(device, b"x")
    assert device.is_char_device()


def test_folders_and_sockets_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").touch()
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("socket")
        for name in ("folder", "socket", "file/below"):
            with pytest.raises(OSError, match=name):
                write_bytes(Path(name), b"x")
            with pytest.raises(OutputError, match=f"^{name}: "):
                check_output(Path(name), force=True)
    assert stat.S_ISSOCK(os.stat("socket").st_mode)


def test_a_name_of_the_maximum_length_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 126 + ".b")
    write_bytes(path, b"x")
    assert path.read_bytes() == b"x"


def test_files_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    left = tmp_path / f".writing-{socket.gethostname()}-{2**22 + 1}-0000-x"  # beyond the greatest process id
    own = tmp_path / f".writing-{socket.gethostname()}-{os.getpid()}-0000-x"
    left.touch()
    own.touch()
    sweep_temporaries(tmp_path)
    assert os.listdir(tmp_path) == [own.name]


@pytest.mark.parametrize("force", [False, True])
def test_files_of_others_are_replaced_only_with_force(tmp_path: Path, force: bool) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"{ours}")
    (tmp_path / "hard").hardlink_to(source)
    (tmp_path / "soft").symlink_to("source")
    (tmp_path / "picture").write_bytes(PNG)
    (tmp_path / "gif").write_bytes(b"GIF89a" + bytes(60))
    (tmp_path / "notes").write_bytes(b"notes")
    lost = {
        "source": "the input itself",
        "hard": "the input itself",
        "soft": "the input itself",
        "../" + tmp_path.name + "/source": "the input itself",
        "picture": r"is a picture \(PNG\)",
        "gif": r"is a picture \(GIF\)",
        "notes": "not an earlier output of this command",
    }
    for name, reason in lost.items():
        if force:
            check_output(tmp_path / name, is_json_object, [source], force=True)
            continue
        with pytest.raises(OutputError, match=rf"{reason}; .*--force$"):
            check_output(tmp_path / name, is_json_object, [source])
    (tmp_path / "empty").touch()
    (tmp_path / "ours").write_bytes(b"{}")
    (tmp_path / "dangling").symlink_to("nothing")
    for name in ("empty", "ours", "dangling", "new", "new/below"):
        check_output(tmp_path / name, is_json_object, [source, STANDARD])


def test_a_log_does_not_replace_a_picture(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(PNG)
    (tmp_path / "old.log").write_text("12:00:00 größer\n")
    check_output(tmp_path / "old.log", is_text, force=None)
    with pytest.raises(OutputError, match="is a picture"):
        check_output(tmp_path / "picture.png", is_text, force=None)


def test_a_full_disk_names_the_file_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device; .*free some.*full"):
        write_bytes(tmp_path / "full", b"x")
