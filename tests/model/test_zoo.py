"""Models by name: found, fetched from folders and addresses with their hashes checked, and listed by the command."""

import dataclasses
import hashlib
import json
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from typer.testing import CliRunner

from uqdm.cli.main import app
from uqdm.model import checkpoint, zoo
from uqdm.model.checkpoint import CheckpointError

SMALL = {
    "image_size": 64,
    "schedule": {"slope": 17.5, "gamma_max": 6.0, "n_steps": 4},
    "denoiser": {"kind": "unet", "embedding_dim": 8, "n_blocks": 1, "norm_groups": 4},
}


@pytest.fixture
def source(tmp_path):
    """A folder in the published layout."""
    torch.manual_seed(0)
    checkpoint.save(tmp_path / "own", SMALL, checkpoint.build(SMALL)[0])
    checkpoint.export(checkpoint.load(tmp_path / "own"), tmp_path / "source", "published")
    return tmp_path / "source"


@pytest.fixture(autouse=True)
def known(source, tmp_path, monkeypatch):
    """One published model, with the files of the folder above."""
    monkeypatch.setenv("UQDM_CACHE", str(tmp_path / "cache"))
    hashes = {file.name: (hashlib.sha256(file.read_bytes()).hexdigest(),) for file in source.iterdir()}
    downloads = tuple(zoo.ModelFile(name, f"file://{source}/{name}", hashes[name]) for name in sorted(hashes))
    model = zoo.PublishedModel("uqdm-small-one", "a test's", "https://example.org", "none", downloads)
    monkeypatch.setattr(zoo, "KNOWN", {model.name: model})
    return model


@pytest.fixture
def server(source):
    handler = partial(SimpleHTTPRequestHandler, directory=source)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_known_model_is_fetched_once(source, known, tmp_path):
    with pytest.raises(CheckpointError, match="not here yet: fetch it by `uqdm models get uqdm-small-one`"):
        zoo.find("uqdm-small-one")
    seen = []
    hashes = zoo.fetch("uqdm-small-one", report=lambda done, total: seen.append((done, total)))
    assert hashes == {item.name: item.sha256[0] for item in known.downloads}
    assert seen[-1][0] == seen[-1][1]  # a file's address tells its length
    assert zoo.find("uqdm-small-one") == tmp_path / "cache" / "models" / "uqdm-small-one"
    assert zoo.load_named("uqdm-small-one").sha256 == checkpoint.load(source).sha256
    zoo.fetch("uqdm-small-one", source)  # again, from a path


def test_a_model_is_fetched_from_a_server_or_a_folder(source, server):
    assert zoo.fetch("uqdm-small-one", server) == zoo.fetch("uqdm-small-one", source)


def test_file_with_wrong_hash_is_refused_and_removed(source, tmp_path, known, monkeypatch):
    (source / "config.json").write_text((source / "config.json").read_text() + "\n")
    with pytest.raises(CheckpointError, match=r"config.json: its SHA-256 is .* it is another file"):
        zoo.fetch("uqdm-small-one")
    assert list((tmp_path / "cache" / "models").iterdir()) == []
    # Without a known hash the file is taken, but must be a model.
    free = tuple(dataclasses.replace(item, sha256=()) for item in known.downloads)
    monkeypatch.setattr(zoo, "KNOWN", {known.name: dataclasses.replace(known, downloads=free)})
    zoo.fetch("uqdm-small-one")
    (source / "checkpoint.pt").write_bytes(b"junk")
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        zoo.fetch("uqdm-small-one")
    assert zoo.load_named("uqdm-small-one")  # the one that was here before


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("/no/such/folder", "name that folder with --from"),
        ("http://127.0.0.1:9", "cannot be read"),
        ("ftp://127.0.0.1", "only https, http and file"),
    ],
)
def test_unreadable_source_error_names_the_remedy(address, message):
    with pytest.raises(CheckpointError, match=message):
        zoo.fetch("uqdm-small-one", address)


def test_interrupted_transfer_is_an_error(source, monkeypatch):
    class Cut:
        def __init__(self, address, **options):
            self.headers, self.left = {"Content-Length": "100"}, [b"1234"]

        def read(self, size):
            return self.left.pop() if self.left else b""

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(zoo.urllib.request, "urlopen", Cut)
    with pytest.raises(CheckpointError, match="it ends after 4 of 100 bytes"):
        zoo.fetch("uqdm-small-one")


def test_unknown_names_suggest_similar_ones():
    with pytest.raises(CheckpointError, match=r"did you mean uqdm-pixel\?.*known: .*uqdm-pixel.*uqdm-small-one"):
        zoo.find("uqdm-pixl")
    with pytest.raises(CheckpointError, match="to fetch; there are: uqdm-small-one"):
        zoo.fetch("uqdm-pixel")


def run(*arguments):
    result = CliRunner().invoke(app, ["models", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def listed(name):
    return next(entry for entry in json.loads(run("--json")) if entry["name"] == name)


def test_models_command_lists_gets_and_converts(source, known, tmp_path):
    before = listed("uqdm-small-one")
    assert (before["here"], before["get"]) == (None, "uqdm models get uqdm-small-one")
    assert before["source"] == "https://example.org"
    assert "as published" in run("get", "uqdm-small-one", "--from", source)
    after = listed("uqdm-small-one")
    assert after["sha256"] == before["sha256"]
    assert after["here"] is not None
    run("export", "uqdm-small-one", tmp_path / "mine")
    assert checkpoint.load(tmp_path / "mine").sha256 == checkpoint.load(source).sha256
    run("export", tmp_path / "mine", tmp_path / "theirs", "--layout", "published")
    assert checkpoint.load(tmp_path / "theirs").sha256 == checkpoint.load(source).sha256
    with pytest.raises(ValueError, match="layout='theirs': choose one of own, published"):
        run("export", tmp_path / "mine", tmp_path / "x", "--layout", "theirs")
    assert "uqdm-pixel" in run()


def test_shipped_model_is_listed_with_its_hash():
    entry = listed("uqdm-pixel")
    weights = zoo.SHIPPED / "uqdm-pixel" / "model.safetensors"
    assert entry["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert entry["about"].startswith("A small universally quantized diffusion model")


def test_published_models_have_addresses(monkeypatch):
    monkeypatch.undo()
    assert list(zoo.KNOWN) == ["uqdm-tiny", "uqdm-small", "uqdm-medium", "uqdm-big"]
    for known in zoo.KNOWN.values():
        assert {item.name for item in known.downloads} == {"config.json", "checkpoint.pt"}
        assert all(item.address.startswith("https://") for item in known.downloads)


@pytest.mark.shared
def test_published_tiny_model_is_fetched_from_a_folder(shared, tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("UQDM_CACHE", str(tmp_path / "cache"))
    shutil.copytree(shared / "checkpoints" / "uqdm-tiny", tmp_path / "given")
    zoo.fetch("uqdm-tiny", tmp_path / "given")
    assert zoo.load_named("uqdm-tiny").schedule.slope == 17.9658203125
    for size in ("small", "medium", "big"):
        config = (shared / "checkpoints" / f"uqdm-{size}" / "config.json").read_bytes()
        assert hashlib.sha256(config).hexdigest() in zoo.KNOWN[f"uqdm-{size}"].downloads[0].sha256
