"""``uqdm info`` of files of version 3, whole and cut, from files and pipes."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from uqdm.cli.info import info
from uqdm.coding.container import Header, pack_stages

HEADER = Header(b"abc", width=64, height=64, tile_size=64, n_stages=3, version=3)


class Pipe(io.BytesIO):
    """A file that cannot be sought in."""

    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize(("size", "n_known", "n_held"), [(8, 0, 0), (9, 1, 0), (18, 1, 0), (20, 2, 1), (47, 3, 3)])
@pytest.mark.parametrize("piped", [False, True])
def test_info_describes_the_stages_whose_lengths_are_held(
    size: int,
    n_known: int,
    n_held: int,
    piped: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = pack_stages(HEADER, [[b"x" * 10, b"y" * 20, b"z" * 6]])
    assert len(data) == 47
    file = tmp_path / "cut.uqdm"
    file.write_bytes(data[:size])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(data[:size])))
    info(Path("-") if piped else file)
    found = json.loads(capsys.readouterr().out)
    assert found["bytes"] == {"file": size, "header": 8, "index": n_known}
    assert (len(found["stages"]), found["stages_held"], found["n_stages"]) == (n_known, n_held, 3)
    assert [stage["ends_at"] for stage in found["stages"]] == [19, 40, 47][:n_known]
    assert found["model"] is None


def test_info_refuses_a_longer_file(tmp_path: Path) -> None:
    (tmp_path / "long.uqdm").write_bytes(pack_stages(HEADER, [[b"abc"] * 3]) + b"more")
    with pytest.raises(ValueError, match="longer than its last stage says"):
        info(tmp_path / "long.uqdm")
