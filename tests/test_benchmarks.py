"""The benchmarks of bits and speed run, and the figures that do not depend on the machine hold."""

import importlib
import json
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from small_bands import banded_codec
from small_run import measure_run

import uqdm
from uqdm.bench.datasets import open_dataset
from uqdm.progressive import compressor
from uqdm_baselines.remote import Remote

pytestmark = pytest.mark.slow


@pytest.fixture
def benchmark(monkeypatch):
    """Imports one of the scripts, which import each other from their own folder."""
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[1] / "benchmarks")
    return importlib.import_module


def test_overhead_over_the_ideal_bits_is_itemized_and_small(benchmark, photographs_uint8):
    overhead_bits = benchmark("overhead_bits")
    rows = overhead_bits.measure_all(uqdm.load_model("uqdm-pixel"), np.stack(photographs_uint8))
    bits = overhead_bits.mean(rows)
    parts = {field.name: getattr(bits, field.name) for field in fields(bits)}
    # The file is the sum of its parts by construction of the coder's share: the test checks that share.
    # 32 bits are the check that the state starts from, 0 to 16 the state's last word; floors of frequencies cost < 2.
    assert 32 <= bits.coder < 50, parts
    # On 200 ImageNet tiles 467 bits, which hardly depend on the image.
    assert bits.overhead < 510, parts
    assert bits.overhead < 0.01 * bits.ideal, parts
    assert bits.header + bits.index + bits.checks <= 8 * 28, parts


def test_overhead_of_models_in_bands_is_itemized(benchmark, photographs_uint8):
    overhead_bits = benchmark("overhead_bits")
    codec = banded_codec()
    rows = overhead_bits.measure_all(codec, np.stack([photograph[:16, :16] for photograph in photographs_uint8]))
    for row in rows:
        assert (row.checks, row.offsets, row.header) == (5 * 16, 5, 8 * 8)
        assert row.ideal + row.overhead == pytest.approx(row.file)
        # Floors of frequencies, the rest of a byte, and what a state below the usual range saves or costs.
        assert -5 * 8 < row.coder < 5 * 16
        assert 5 * 8 <= row.index <= 5 * 16
        assert 0 < row.grids + 8 < 0.005 * row.ideal + 16


def test_files_of_the_published_tiny_model_beat_the_papers_accounting(benchmark, shared):
    overhead_bits = benchmark("overhead_bits")
    images = np.load(shared / "data" / "imagenet64-sample.npz")["eval"][:8]
    bits = overhead_bits.mean(overhead_bits.measure_all(uqdm.load_model(shared / "checkpoints" / "uqdm-tiny"), images))
    # On 200 images 0.596 % and -1.83 %; the bits of the overhead hardly depend on the image.
    assert bits.overhead - bits.offsets - bits.grids < 270
    # Offsets and grids follow from how exact float32 is on a processor, which is measured: 144 to 184 bits were seen.
    assert bits.overhead < 0.007 * bits.ideal
    assert bits.file < 0.985 * bits.ideal


def test_coding_is_timed_on_the_compressors_own_bytes(benchmark, photographs_uint8):
    coding = benchmark("coding")
    rows = coding.measure(uqdm.load_model("uqdm-pixel"), np.stack(photographs_uint8[:2]), repeats=1)
    assert all(encode > 0 for _, encode, _ in rows)


def test_coders_are_compared_on_the_same_symbols(benchmark, photographs_uint8):
    coding, coders = benchmark("coding"), benchmark("symbol_coders")
    cases = coding.make_cases(uqdm.load_model("uqdm-pixel"), np.stack(photographs_uint8[:1]))
    (symbols,) = coding.symbols_of(cases)
    for given in (symbols, replace(symbols, bounds=None)):  # models without bounds, too
        found = {row.label: row for row in coders.compare([given], rounds=1)}
        assert found["the codec's rANS"].encode_ratio == 1
        # Tables hold the same distributions; a Gaussian takes at least 0.6 % more bits.
        assert found["constriction, tables"].bits_ratio == pytest.approx(1, abs=2e-3)
        assert found["constriction, Gaussian"].bits_ratio > 1.004


def test_the_network_in_use_is_within_half_the_tolerance(benchmark, photographs_uint8):
    network = benchmark("network")
    model = uqdm.load_model("uqdm-pixel")
    errors = network.errors(model, network.latents(model, np.stack(photographs_uint8[:3])))
    assert max(error for variant, error in errors.items() if variant.taken) < 0.5
    assert max(error for variant, error in errors.items() if variant.dtype == torch.float64) < 1e-6
    assert max(error for variant, error in errors.items() if variant.autocast) > 100  # bfloat16 is not accurate enough


def test_diffc_and_uqdm_are_measured_on_the_same_patches(benchmark, photographs_uint8):
    diffc = benchmark("diffc")
    model = uqdm.load_model("uqdm-pixel").model
    patches = np.stack([photographs_uint8[0][:8, :8], photographs_uint8[1][:8, :8]])
    sent = diffc.patch_costs(model, patches, None, "matched", diffc.Limits(4, 4))
    beside = diffc.uqdm_patch_costs(model, patches)
    assert all(cost.file_bits > 1.5 * cost.ideal_bits for cost in sent)
    assert all(cost.file_bits < 1.5 * cost.ideal_bits for cost in beside)
    assert all(cost.mse < 1 for cost in [*sent, *beside])


def test_a_dry_run_of_the_gpu_benchmark_accounts_for_all_time(benchmark, tmp_path, monkeypatch):
    """Random weights are coded and decoded exactly; the time is reported by activity."""
    monkeypatch.setattr(compressor, "DEFAULT_SEEDS", 1)  # 16 first steps in float64 take their time
    gpu = benchmark("gpu")
    assert gpu.covered([(0, 2), (1, 3), (5, 6)]) == 4
    table = tmp_path / "gpu.json"
    older = str(Path(__file__).parent / "progressive" / "golden-v1-model")
    gpu.main(["--device", "cpu", "--shapes", "tiny", "--model", older, "--images", "2", "--json", str(table)])
    found = json.loads(table.read_text())["found"]
    assert [(one["model"], one["direction"]) for one in found] == [
        (name, direction) for name in ("golden-v1-model", "random uqdm-tiny") for direction in ("encode", "decode")
    ]
    for one in found:
        shares = [one[label] for label in [*one["thread_seconds"], gpu.IDLE]]
        assert sum(shares) == pytest.approx(1)
        assert all(share > -0.01 for share in shares)
        assert 0 < one["busy_seconds"] < one["wall_seconds"]
        assert one["thread_seconds"][gpu.NETWORK] >= 0.99 * one["busy_seconds"]


def test_copies_are_mirrored_and_shifted_as_documented(benchmark, tmp_path):
    spec = benchmark("many_images").tile_data_set("demo", 2 * 128 + 3, tmp_path / "many.npz")
    source, many = open_dataset("demo"), open_dataset(spec)
    assert (len(source), len(many)) == (128, 259)
    assert np.array_equal(many.load(127), source.load(127))
    assert np.array_equal(many.load(128), source.load(0)[:, ::-1])
    assert np.array_equal(many.load(258), np.roll(source.load(2), (5, 5), (0, 1)))
    assert not (tmp_path / "many.npy").exists()


def test_the_cost_model_reproduces_the_figures(benchmark):
    scaling = benchmark("scaling")
    runs = [
        scaling.Measured(2, images, shards, 1.0, 0.1, 5.0, 10.0, 2.0 + 0.004 * shards + 0.0001 * images, 200, 200, 9)
        for images, shards in ((1000, 2), (12_000, 24), (2000, 200), (6000, 600), (12_000, 240))
    ]
    model = scaling.fit(runs)
    assert model == pytest.approx({"fixed_s": 2.0, "per_shard_s": 0.004, "per_image_s": 0.0001}, rel=1e-9)
    few = scaling.extrapolate(model, 500, 64, 10)  # 640 images/s ask for 640 (0.004 / 500 + 0.0001) of a core
    assert few["command_busy"] == pytest.approx(0.06912, rel=1e-9)
    assert few["efficiency"] == 1
    many = scaling.extrapolate(model, 50, 64, 1000)  # 1 / (0.004 / 50 + 0.0001) images/s and no more
    assert many["images_per_s"] == pytest.approx(5555.56, rel=1e-6)
    assert many["efficiency"] == pytest.approx(5555.56 / 64_000, rel=1e-6)


def test_the_comparison_of_a_killed_run_finds_differences(benchmark, tmp_path):
    survival = benchmark("survival")
    one, other = (measure_run(tmp_path / name, open_dataset("demo", limit=4), "jpeg:quality=50") for name in "ab")
    assert survival.same(one, other, "jpeg")
    none = {"rows": 4, "files": 4, "differing_rows": 0, "differing_files": 0}
    assert benchmark("independence").differences([one, other], "jpeg") == none
    path = next((other / "streams" / "jpeg").iterdir())
    table = pq.read_table(path)
    damaged = table.set_column(table.column_names.index("stream"), "stream", [[b"other"] * len(table)])
    pq.write_table(damaged, path)
    assert not survival.same(one, other, "jpeg")
    assert benchmark("independence").differences([one, other], "jpeg") == {**none, "differing_files": len(table)}


def test_other_settings_of_a_classic_codec_are_compared_with_its_sweep(benchmark, photographs_uint8):
    settings = benchmark("classic_settings")
    rows = settings.lines("jpeg-tuned", settings.Measurement(photographs_uint8[:4]), show_points=False)
    deltas = {cells[1].strip(): cells[2] for cells in (row.strip("|").split("|") for row in rows)}
    assert float(deltas["the paper's: codec jpeg"].split()[0]) > 5
    assert -2 < float(deltas["best of its formats"].split()[0]) < 1


def test_results_that_differ_by_a_bit_are_found(benchmark, tmp_path):
    same_results = benchmark("same_results")
    frame = same_results.rows(measure_run(tmp_path, open_dataset("demo", 2), "png", "jpeg:quality=50"))
    shuffled = frame.sample(frac=1, random_state=0).assign(encode_ms=0.0)
    assert same_results.differences(frame, shuffled, same_results.ROW_KEY)[1] == []
    other = frame.assign(mse=np.nextafter(frame["mse"], np.inf))
    assert same_results.differences(frame, other, same_results.ROW_KEY)[1] == [f"mse in {len(frame)} rows"]
    assert same_results.differences(frame, frame.drop(columns="ssim"), same_results.ROW_KEY)[1] == ["only in one: ssim"]
    assert same_results.differences(frame, frame[:0], same_results.ROW_KEY)[1] == ["one is empty"]


def test_reasons_are_equal_as_text_and_as_a_map(benchmark):
    plain = benchmark("same_results").plain
    assert plain("fid: n=3; lpips: no weights") == plain([("lpips", "no weights"), ("fid", "n=3")])
    assert plain("fid: n=3") != plain([("fid", "n=4")])


HOST = """
import zlib
import numpy as np
from uqdm_codec_host import serve

def encode(image):
    return np.array(image.shape[:2], "<u4").tobytes() + zlib.compress(image.tobytes())

def decode(stream):
    height, width = np.frombuffer(stream[:8], "<u4")
    return np.frombuffer(zlib.decompress(stream[8:]), np.uint8).reshape(height, width, 3)

serve(encode, decode, name="zlib", version="1")
"""


def test_the_time_of_a_remote_call_has_the_codecs_own_time_in_it(benchmark, tmp_path, photographs_uint8):
    (tmp_path / "host.py").write_text(HOST)
    found = benchmark("remote_overhead").measure("", [str(tmp_path / "host.py")], np.stack(photographs_uint8[:3]), 2)
    assert set(found) == {"encode", "decode"}
    for seconds in found.values():
        assert seconds.shape == (2, 3)
        call, codec, bare = seconds.T
        assert (call > codec).all()
        assert (codec > 0).all()
        assert (bare > 0).all()


def test_damage_of_a_recipes_files_is_counted(benchmark, tmp_path, photographs_uint8):
    checks = benchmark("recipe_checks")
    (tmp_path / "host.py").write_text(HOST)
    codec = Remote(command=f"{sys.executable} {tmp_path / 'host.py'}")
    (found,) = checks.measure([codec], photographs_uint8[:2], 20)
    assert len(found.n_bytes) == len(found.encode_ms) == len(found.decode_ms) == 2
    assert found.decoded == 0
    streams = checks.flipped(b"abc", 100)
    assert len(set(streams)) == 24
    assert b"abc" not in streams
