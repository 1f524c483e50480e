"""Guards the published curves of the field: complete, with source and kind of rate, never mixed, not in statistics."""

from __future__ import annotations

import ast
import csv
from pathlib import Path

import numpy as np
import pytest

from uqdm.bench.analysis.best_of_family import best_of_families, chosen_systems
from uqdm.bench.analysis.published_curves import FIELD, IMAGES, field_sets, matching_set, relation
from uqdm.bench.analysis.published_systems import (
    FAMILIES,
    FID_OF,
    POINT_COLUMNS,
    RATE_KINDS,
    TABLE_COLUMNS,
    families,
    field_points,
    point_table,
    published_systems,
    set_names,
    sources,
)
from uqdm.bench.datasets import Origin, kodak

ROOT = Path(__file__).resolve().parents[3]
SETS = [name for name in set_names() if name not in IMAGES]
RANGES = {"psnr_db": (5, 60), "ms_ssim": (0.1, 1), "lpips": (0, 1), "dists": (0, 0.5), "fid": (0, 300)}
KODAK = kodak.ORIGIN


def test_every_set_is_described_and_has_points() -> None:
    assert set(SETS) == set(field_sets())
    counts = {name: (len(published_systems(name)), len(field_points(name))) for name in SETS}
    assert counts["kodak"] == (164, 1942)
    assert counts["tecnick"] == (48, 719)
    assert sum(points for _, points in counts.values()) == 3652


@pytest.mark.parametrize("name", SETS)
def test_every_point_has_source_rate_kind_and_figures_in_range(name: str) -> None:
    rows = field_points(name)
    assert tuple(rows.columns) == POINT_COLUMNS
    assert rows.bpp.between(0, 8, inclusive="neither").all()
    assert set(rows.rate_kind) <= set(RATE_KINDS)
    assert set(rows.source) <= set(sources())
    assert not rows.setting.isna().any()
    assert rows[[*RANGES]].notna().any(axis=1).all()
    for column, (low, high) in RANGES.items():
        assert rows[column].dropna().between(low, high).all(), column
    assert np.abs(rows.kid.dropna()).max() < 0.1 or rows.kid.isna().all()  # an unbiased estimate may be below 0
    assert not rows.duplicated(["system", "setting", "bpp"]).any()
    for system, points in rows.groupby("system"):
        assert points.bpp.is_monotonic_increasing, system
        assert points[["rate_kind", "source"]].nunique().max() == 1, system


def test_every_system_has_one_label_and_one_known_family() -> None:
    with (FIELD / "systems.csv").open(encoding="utf-8", newline="") as file:
        names = [row["system"] for row in csv.DictReader(file)]
    assert len(names) == len(set(names))
    assert {family for _, family in families().values()} == set(FAMILIES)
    assert set(names) == {one.name for name in set_names() for one in published_systems(name)}


def test_every_source_states_licence_and_protocol() -> None:
    used = {key for name in SETS for key in field_points(name).source}
    assert used == set(sources())
    for one in sources().values():
        assert one.licence, one.name
        assert one.protocol, one.name
        assert one.commit or one.path.startswith("issue "), one.name
        assert one.lpips_net in ("", "alex", "vgg", "not stated"), one.name


def test_digitised_and_doubtful_systems_are_flagged_and_left_out_by_default() -> None:
    systems = published_systems("kodak")
    flagged = {one.name for one in systems if not one.plain}
    assert {one.name for one in systems if one.name.endswith("-glcfig")} <= flagged
    assert {"paper-elic2022-mse", "glc-glcfig"} <= flagged
    assert not flagged & {one.name for one in chosen_systems(systems, "all", "psnr_db")}
    assert [one.name for one in chosen_systems(systems, "glc-glcfig", "psnr_db")] == ["glc-glcfig"]
    (rerun,) = [one for one in published_systems("div2k-val") if one.doubtful]
    assert rerun.name == "stablecodec-rerun"


def test_vgg_and_alexnet_lpips_are_different_metrics() -> None:
    systems = {one.name: one for one in published_systems("kodak")}
    assert "lpips" not in systems["shallow-ntc-2-layer-syn"].points
    assert "lpips_vgg" in systems["shallow-ntc-2-layer-syn"].metrics
    assert "lpips" in systems["hific-official"].metrics


def test_fid_stands_beside_the_metric_of_its_protocol_only() -> None:
    of = {name: {metric for one in published_systems(name) for metric in one.metrics} for name in set_names()}
    assert "patch_fid_256" in of["clic2020-test"] & of["div2k-val"]
    assert "fid" not in of["clic2020-test"] | of["div2k-val"] | of["kodak"] | of["kodak-512crop"]
    assert "patch_fid_256" not in of["kodak"] | of["kodak-512crop"] | of["tecnick-768crop"]
    assert "fid" in of["mscoco-30k-256"] & of["cifar10"]
    assert set(FID_OF) < {one.fid_protocol for one in sources().values()}


def test_the_best_of_a_family_needs_the_fewest_bits_against_most_others() -> None:
    best = best_of_families(published_systems("kodak"), "psnr_db")
    assert list(best) == list(FAMILIES)
    assert best["classic"] == "cai-vtm"  # VVC's reference software
    assert best["variable-rate"] == "qarv"
    by_lpips = best_of_families(published_systems("clic2020-test"), "lpips", "lower")
    assert set(by_lpips) == {"hyperprior", "variable-rate", "gan", "diffusion"}
    named = {one.name for one in chosen_systems(published_systems("kodak"), "best", "psnr_db")}
    assert named == set(best.values())


def test_two_curves_are_ordered_by_their_rate_at_equal_quality() -> None:
    import dataclasses

    (vtm,) = [one for one in published_systems("kodak") if one.name == "cai-vtm"]
    dearer = dataclasses.replace(vtm, name="a", points=vtm.points.assign(bpp=1.01 * vtm.points.bpp))
    two_points = dataclasses.replace(vtm, name="b", points=vtm.points.assign(bpp=0.5 * vtm.points.bpp)[:2])
    flagged = dataclasses.replace(vtm, name="c", points=two_points.points, digitised=True)
    assert best_of_families([dearer, two_points, flagged, vtm], "psnr_db") == {"classic": "cai-vtm"}


@pytest.mark.parametrize(
    ("dataset", "n_images", "origin", "expected"),
    [
        ("my-photos", 8, KODAK, ("kodak", "part")),
        ("my-photos", 24, KODAK, ("kodak", "same")),
        ("my-photos", 7, KODAK, (None, "part")),
        ("kodak", 24, None, (None, "other")),  # a folder of that name with other files
        ("tecnick", 100, None, ("tecnick", "named")),
        ("div2k-val", 100, Origin("div2k-val", "DIV2K", ""), ("div2k-val", "named")),
        ("clic2020-pro-valid-part", 41, None, (None, "other")),
    ],
)
def test_the_set_that_belongs_to_a_run(
    dataset: str, n_images: int, origin: Origin | None, expected: tuple[str | None, str]
) -> None:
    found = matching_set(dataset, n_images, origin)
    beside = relation(found or "kodak", dataset, n_images, origin)
    assert (found, beside.kind) == expected
    assert ("nothing proves it" in beside.text) == (beside.kind == "named")
    assert ("The set is a part" in beside.text) == (beside.kind == "part")


def test_a_named_set_with_another_number_of_images_says_so() -> None:
    assert "It has 12 images, the published set 100." in relation("tecnick", "tecnick", 12).text


def test_the_point_table_has_every_fact_for_every_point() -> None:
    for name in ("kodak", "cifar10"):
        table = point_table(name)
        assert tuple(table.columns) == TABLE_COLUMNS
        assert table[["family", "rate_kind", "protocol", "source"]].all(axis=None)
    hific = point_table("clic2020-test").query("system == 'hific-official'")
    assert set(hific.fid_protocol) == {"256 px patches, half shift"}
    assert hific.source.str.startswith("tensorflow/compression/models/hific/data.csv@").all()


STATISTICS = (
    "bd_table",
    "bjontegaard",
    "bootstrap",
    "compare_runs",
    "paired",
    "plane",
    "short_table",
    "summarize",
    "summary_csv",
)


@pytest.mark.parametrize("module", STATISTICS)
def test_statistics_do_not_import_published_curves(module: str) -> None:
    """Nor does any module of analysis that they import."""
    folder, seen, waiting = ROOT / "uqdm" / "bench" / "analysis", set[str](), [module]
    while waiting:
        name = waiting.pop()
        if name in seen or not (folder / f"{name}.py").is_file():
            continue
        seen.add(name)
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("uqdm.bench.analysis"):
                parts = (node.module or "").split(".")
                waiting += [parts[3]] if len(parts) > 3 else [alias.name for alias in node.names]
    assert module in seen
    assert not seen & {"published_curves", "published_systems", "best_of_family"}


@pytest.mark.shared
def test_the_figures_are_those_of_the_collected_tables(shared: Path) -> None:
    import pandas as pd

    for name in SETS:
        theirs = pd.read_csv(shared / "published" / "rd" / f"{name}.csv", dtype={"point": str})
        theirs = theirs.sort_values(["system", "bpp"], kind="stable").reset_index(drop=True)
        ours = field_points(name)
        assert list(ours.system) == list(theirs.system)
        for column in ("bpp", *RANGES, "kid"):
            np.testing.assert_array_equal(ours[column], theirs[column], err_msg=column)
        for repository, key in zip(theirs.source, ours.source, strict=True):
            assert repository.startswith(sources()[key].repository)
