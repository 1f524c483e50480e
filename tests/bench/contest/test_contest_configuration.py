"""The section ``contest``: contestants as requests, those that cannot take part, and the shipped file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.utils import validate

from uqdm.bench.contest.configuration import Contest, parse_named
from uqdm.bench.run.codec_settings import resolve
from uqdm.configuration import Configuration

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = yaml.safe_load((ROOT / "config" / "contest.yaml").read_text())
RUNS = {"small": {"dataset": "demo", "codecs": {"png": None}}}
CONTESTANTS = [
    {"name": "webp at two", "codec": "webp", "parameters": {"quality": [10, 50]}, "about": "lossy = small"},
    {"name": "gone", "codec": "uqdm", "parameters": {"model": "uqdm-nowhere"}},
    {"name": "unknown", "codec": "jpgg"},
]


def section(**more: Any) -> dict[str, Any]:
    return {"contestants": CONTESTANTS, **more}


def test_contestants_that_cannot_take_part_are_left_out_with_the_reason() -> None:
    contest = Contest.from_mapping(section())
    assert {request.name for request in contest.requests()} == {"webp"}
    assert [request.label for request in contest.requests()] == ["webp at two"] * 2
    assert list(contest.absent) == ["gone", "unknown"]
    assert contest.absent["gone"].startswith("no model 'uqdm-nowhere'")
    assert "did you mean jpeg" in contest.absent["unknown"]


def test_the_options_of_the_page_name_everybody() -> None:
    options = Contest.from_mapping(section(page={"bpp": [0.3, 1], "images": ["3", "7"]})).arguments()
    assert "--bpp=0.3,1" in options
    assert "--images=3,7" in options
    assert "--contestant=webp at two=lossy = small" in options
    assert [option for option in options if option.startswith("--absent=gone=no model")]
    named = parse_named([option.partition("=")[2] for option in options if "--contestant" in option], "--contestant")
    assert named == {"webp at two": "lossy = small", "gone": "", "unknown": ""}


def test_the_contest_is_a_run_with_metrics_and_limit_of_its_own() -> None:
    config = {"runs": RUNS, "contest": section(limit=9, metrics=["lpips", "kid"]), "score": {"metrics": ["ssim"]}}
    found = Configuration.from_mapping(config)
    run = found.all_runs()["contest"]
    assert found.evaluate_arguments(run)[:3] == [
        "--dataset=demo", "--codec=webp:quality=10,label=webp at two", "--codec=webp:quality=50,label=webp at two",
    ]  # fmt: skip
    assert "--limit=9" in found.evaluate_arguments(run)
    assert found.metric_arguments(run) == ["--metric=lpips", "--metric=kid"]
    assert found.metric_arguments(found.runs["small"]) == ["--metric=ssim"]
    assert "--set-images=0" in found.score_arguments(run)
    assert "--metric=kid" in found.score_arguments(run)
    limited = Configuration.from_mapping({**config, "limit": 2}).all_runs()["contest"]
    assert "--limit=2" in found.evaluate_arguments(limited)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contestants": [{"name": "a, b", "codec": "png"}]}, r"contest: contestants: a, b: codec png: label='a, b'"),
        ({"contestants": [{"name": "a", "codec": "png"}] * 2}, "contestants: two are named 'a'; give each a name"),
        ({"page": {"bpp": [0]}}, "contest: page: bpp=0.0: must be above 0"),
        ({"metrics": ["lpisp"]}, "did you mean lpips"),
    ],
)
def test_mistakes_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, LookupError), match=message):
        Configuration.from_mapping({"runs": RUNS, "contest": section(**change)}).all_runs()


@pytest.mark.slow
def test_the_shipped_contest_meets_the_schema_and_its_settings_exist() -> None:
    validate({**SHIPPED, "runs": RUNS}, str(ROOT / "workflow" / "schemas" / "config.schema.yaml"))
    contest = Contest.from_mapping(SHIPPED["contest"])
    assert contest.absent == {}
    resolve(contest.requests())  # raises where two contestants share a curve
