"""Guards models of the Hugging Face Hub: a real local server with the hub's routes, and its cache without a network.

Each use is a process of its own, since huggingface_hub reads its variables when it is imported.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_models import small_codec

from uqdm.bench.run.rows_reader import read_rows
from uqdm.model.files import CheckpointError
from uqdm.model.hub import parse
from uqdm.model.zoo import identify

FIRST, SECOND = "1" * 40, "2" * 40
BRANCH = "main"
RECIPE = {
    "n_iterations": 8,
    "step_shares": [0.1, 0.3, 0.3, 0.3],
    "batch_sizes": [1] * 4,
    "crop_sizes": [8] * 4,
    "warm_up": 1,
    "bfloat16": False,
}
LOAD = """
import json, sys
import numpy as np
from uqdm.codec import get_codec
from uqdm.progressive import load_model
model = load_model(sys.argv[1])
image = np.zeros((8, 8, 3), np.uint8)
same = bool((model.decompress(model.compress(image)) == image).all())
print(json.dumps([str(model.model.identity), get_codec("uqdm", model=sys.argv[1]).values["model"], same]))
"""


class Hub:
    """A server with the routes of the hub that downloads use: HEAD and GET of OWNER/NAME/resolve/REVISION/FILE."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        """Contents of ``OWNER/NAME@COMMIT`` by path."""
        self.branch = FIRST
        self.requests: list[str] = []
        self.downloads: list[str] = []
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET(body=False)

            def do_GET(self, body: bool = True) -> None:
                hub.requests.append(self.path)
                repository, _, rest = self.path.lstrip("/").partition("/resolve/")
                revision, _, name = rest.partition("/")
                commit = hub.branch if revision == BRANCH else revision
                files = hub.files.get(f"{repository}@{commit}")
                if files is None or name not in files:
                    known = any(one.startswith(f"{repository}@") for one in hub.files)
                    code = "EntryNotFound" if files is not None else "RevisionNotFound" if known else "RepoNotFound"
                    self.send_response(404)
                    self.send_header("X-Error-Code", code)
                    if files is not None:
                        self.send_header("X-Repo-Commit", commit)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("X-Repo-Commit", commit)
                self.send_header("ETag", f'"{hashlib.sha256(files[name]).hexdigest()}"')
                self.send_header("Content-Length", str(len(files[name])))
                self.end_headers()
                if body:
                    hub.downloads.append(self.path)
                    self.wfile.write(files[name])

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hub() -> Iterator[Hub]:
    pytest.importorskip("huggingface_hub")
    hub = Hub()
    yield hub
    hub.close()


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A local folder of the model that the hub has as well."""
    folder = tmp_path / "small"
    small_codec(folder, 16.0)
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def run(hub: Hub, folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Python with the hub at the server, and a cache of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": hub.address, "HF_HOME": str(folder / "hf"), "UQDM_CACHE": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, env={**environment, **variables}
    )


@pytest.mark.slow
def test_a_model_is_fetched_once_pinned_and_then_loads_offline(hub: Hub, local: Path, tmp_path: Path) -> None:
    others = {"pytorch_model.bin": pickle.dumps("never read"), "README.md": b"# small"}
    hub.files["someone/small@" + FIRST] = {**files_of(local), **others}
    weights = hashlib.sha256((local / "model.safetensors").read_bytes()).hexdigest()
    pinned = f"hf:someone/small@{FIRST}"

    done = run(hub, tmp_path, "-m", "uqdm", "models", "get", "hf:someone/small")
    assert done.returncode == 0, done.stderr
    assert f"{weights}  model.safetensors\n" in done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"{pinned} is in ")
    assert {path.rpartition("/")[2] for path in hub.requests if "/resolve/" in path} == {
        "config.json",
        "model.safetensors",
    }

    hub.requests.clear()
    done = run(hub, tmp_path, "-c", LOAD, f"{pinned}#sha256={weights}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [str(identify(local)), f"{pinned}#sha256={weights}", True]
    assert hub.requests == []  # a commit that is in the cache is not asked for again

    done = run(hub, tmp_path, "-c", LOAD, "hf:someone/small", HF_HUB_OFFLINE="1")
    assert json.loads(done.stdout) == [str(identify(local)), pinned, True], done.stderr
    assert hub.requests == []

    listed = json.loads(run(hub, tmp_path, "-m", "uqdm", "models", "--json", HF_HUB_OFFLINE="1").stdout)
    (found,) = [model for model in listed if model["name"] == pinned]
    assert (found["sha256"], found["codecs"][0]) == (weights, "uqdm")


@pytest.mark.cluster
@pytest.mark.slow
def test_workers_take_the_pinned_model_from_the_cache(hub: Hub, local: Path, tmp_path: Path) -> None:
    hub.files["someone/small@" + FIRST] = files_of(local)
    arguments = ["--dataset", "demo", "--limit", "2", "--shard-size", "1", "--cpus", "2", "--metric", "psnr_db"]
    out = tmp_path / "run"
    codec = "uqdm:model=hf:someone/small"
    done = run(hub, tmp_path, "-m", "uqdm", "bench", "evaluate", *arguments, "--codec", codec, "--out", str(out))
    assert done.returncode == 0, done.stderr
    got = [path for path in hub.downloads if path.endswith("model.safetensors")]
    assert got == [f"/someone/small/resolve/{FIRST}/model.safetensors"]
    rows = read_rows(out, ["status", "setting", "codec_version"]).drop_duplicates()
    assert rows.status.tolist() == ["ok"]
    assert f"model=hf:someone/small@{FIRST}" in rows.setting.iloc[0]
    assert rows.codec_version.tolist() == [str(identify(local))]


@pytest.mark.slow
def test_training_from_a_model_of_the_hub_stores_its_commit(hub: Hub, local: Path, tmp_path: Path) -> None:
    hub.files["someone/small@" + FIRST] = files_of(local)
    file = tmp_path / "train.yaml"
    file.write_text(yaml.safe_dump({"name": "tuned", "init": "hf:someone/small", "recipe": RECIPE}))
    code = "import sys; from uqdm.training.job import prepare; print(prepare(sys.argv[1], None, 'out').config.init)"
    done = run(hub, tmp_path, "-c", code, str(file))
    assert done.stdout == f"hf:someone/small@{FIRST}\n", done.stderr


@pytest.mark.slow
def test_a_branch_that_moved_is_another_model_and_folders_are_found(hub: Hub, local: Path, tmp_path: Path) -> None:
    hub.files["someone/models@" + FIRST] = {"README.md": b"nothing yet"}
    hub.files["someone/models@" + SECOND] = {f"a/b/{name}": data for name, data in files_of(local).items()}
    hub.branch = SECOND
    done = run(hub, tmp_path, "-c", LOAD, "hf:someone/models/a/b")
    identity, pinned, same = json.loads(done.stdout)
    assert (identity, pinned, same) == (f"b {str(identify(local)).split()[1]}", f"hf:someone/models/a/b@{SECOND}", True)
    early = run(hub, tmp_path, "-m", "uqdm", "models", "get", f"hf:someone/models/a/b@{FIRST}")
    assert early.returncode == 1
    assert "the repository holds no model there; it needs a/b/config.json" in early.stderr


@pytest.mark.slow
def test_a_checkpoint_that_runs_code_is_refused(hub: Hub, local: Path, tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(tmp_path / "harm"),))

    files = {"config.json": (local / "config.json").read_bytes(), "checkpoint.pt": pickle.dumps(Harm())}
    hub.files["someone/harm@" + FIRST] = files
    done = run(hub, tmp_path, "-c", LOAD, "hf:someone/harm")
    assert "CheckpointError" in done.stderr
    assert not (tmp_path / "harm").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "variables", "message"),
    [
        ("hf:someone/small#sha256=" + "0" * 64, {}, "it is another file"),
        ("hf:someone/none", {}, "no repository someone/none that you may read; if it is private, set HF_TOKEN"),
        ("hf:someone/small@v9", {}, "someone/small has no revision 'v9'"),
        ("hf:someone/small", {"HF_HUB_OFFLINE": "1"}, "not in the cache of huggingface_hub, and HF_HUB_OFFLINE is set"),
        ("hf:someone/small", {"HF_ENDPOINT": "http://127.0.0.1:9"}, "the hub cannot be reached; try again"),
    ],
)
def test_errors_name_the_remedy(
    hub: Hub, local: Path, tmp_path: Path, name: str, variables: dict[str, str], message: str
) -> None:
    hub.files["someone/small@" + FIRST] = files_of(local)
    done = run(hub, tmp_path, "-m", "uqdm", "models", "get", name, **variables)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]  # after lines of huggingface_hub on what it tries again
    assert last.startswith(f"error: {parse(name)}: ")
    assert message in last


def test_without_huggingface_hub_the_error_says_how_to_get_it() -> None:
    code = (
        "import sys; sys.modules['huggingface_hub'] = None\n"
        "from uqdm.codec import codec_class\n"
        "codec_class('uqdm').parameters[0].check('hf:someone/small')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install huggingface_hub" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", ["hf:", "hf:one", "hf:a/../b", "hf:a/b@", "hf:a/b#sha256=12", "hf:a/b c", "hf:-a/b"])
def test_other_forms_are_refused(name: str) -> None:
    with pytest.raises(CheckpointError, match="is written hf:OWNER/NAME"):
        parse(name)
