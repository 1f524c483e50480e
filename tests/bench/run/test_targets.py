"""Guards how targets are written, which parameter their searches vary, and which value answers them best."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import yaml

from uqdm.bench.run.codec_settings import (
    CodecSetting,
    Request,
    format_request,
    parse_request,
    requests_from_mapping,
    resolve,
)
from uqdm.bench.run.targets import Found, Target, split_target, targets_of
from uqdm.codec import ParameterError
from uqdm.config_schema import check_against_schema
from uqdm.configuration import Configuration

SCHEMA = Path(__file__).parents[3] / "workflow" / "schemas" / "config.schema.yaml"


def resolved(text: str) -> list[CodecSetting]:
    request = parse_request(text)
    return resolve([request])[request.name]


@pytest.mark.parametrize(
    "text", ["jpeg@bpp=0.5", "jpeg@lpips<=0.1", "jpeg-tuned:subsampling=4:4:4@bytes=4000", "jpeg:label=a b@mean_bpp=1"]
)
def test_a_request_with_a_target_survives_reading_and_writing(text: str) -> None:
    assert format_request(parse_request(text)) == text


def test_a_stored_setting_with_a_target_is_a_request_again() -> None:
    (found,) = resolved("jpeg-tuned:subsampling=4:4:4@bpp=0.50")
    assert found.setting == "subsampling=4:4:4,tables=flat,scans=shorter,@bpp=0.5"
    assert resolved(f"jpeg-tuned:{found.setting}") == [found]


def test_an_at_inside_of_a_path_is_no_target() -> None:
    assert split_target("uqdm:model=/data/me@home/model") == ("uqdm:model=/data/me@home/model", None)


def test_configuration_takes_targets_and_lists_of_them() -> None:
    found = requests_from_mapping({"jpeg": {"target": ["bpp=0.5", "psnr_db=35"], "label": "matched"}})
    assert found == [Request("jpeg", None, "matched", one) for one in ("bpp=0.5", "psnr_db=35")]
    assert parse_request("jpeg:target=bpp=0.5") == parse_request("jpeg@bpp=0.5")


def test_a_run_of_the_workflow_asks_for_its_targets() -> None:
    codecs = {"jpeg": {"target": ["bpp=0.5", "lpips<=0.1"]}, "webp": [{"method": 4, "target": "mean_bpp=1"}]}
    config = {"runs": {"demo": {"dataset": "demo", "codecs": codecs}}}
    check_against_schema(config, yaml.safe_load(SCHEMA.read_text()))
    run = Configuration.from_mapping(config).runs["demo"]
    assert run.codec_requests() == ["jpeg@bpp=0.5", "jpeg@lpips<=0.1", "webp:method=4@mean_bpp=1"]


def test_a_target_may_be_a_list_or_a_range() -> None:
    assert [one.setting for one in resolved("jpeg@bpp=0.25|0.5|1")] == ["@bpp=0.25", "@bpp=0.5", "@bpp=1"]
    assert [one.setting for one in resolved("jpeg@psnr_db=30..40:5")] == ["@psnr_db=30", "@psnr_db=35", "@psnr_db=40"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jpeg@bpp", "expected a condition, such as bpp=0.5"),
        ("jpeg@bpp>0.5", "expected a condition, such as bpp=0.5"),
        ("jpeg@bpp=much", "'much' is no number"),
        ("jpeg@bpp=0", "0 is out of range; it is above 0"),
        ("jpeg@ssim=1.5", "1.5 is out of range; it is from -1 to 1"),
        ("jpeg@pnsr_db=35", r"no rate or metric 'pnsr_db' \(did you mean psnr_db"),
        ("jpeg@mean_bp=1", r"no rate or metric 'bp' \(did you mean bpp"),
        ("jpeg@fid=10", "no rate or metric 'fid'"),
        ("jpeg@mse=30", "a distance, of which less is better; write mse<=30"),
        ("jpeg@bpp=0.5..1", "give the step too"),
        ("png@bpp=1", "codec png: it has no ordered parameter"),
        ("jpeg:quality=50@bpp=1", "quality=50 is fixed, and the target searches quality"),
        ("jpeg:quality=50..50@bpp=1", "a search needs at least two values"),
        ("jxl:quality=10..50,effort=1..9@bpp=1", "quality and effort are ranges; name one"),
        ("jpeg:quality=10|20..30@bpp=1", "a target searches one range"),
        ("jpeg:quality=90..200@bpp=1", "must be at most 100"),
        (
            "program:encode=cp {input} {output},decode=cp {input} {output}@bpp=1",
            "name the one that the target searches",
        ),
        ("vdm@bpp=1", "an ideal codec makes no files"),
        ("jpeg:target=bpp=1@bpp=2", "two targets"),
    ],
)
def test_a_wrong_target_is_refused_with_codec_and_remedy(text: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message) as caught:
        resolved(text)
    assert text.partition(":")[0].partition("@")[0] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_number_that_a_sweep_varies_is_searched_and_others_follow_the_sweep() -> None:
    (found,) = resolved("jpeg-tuned@bpp=1")
    assert found.search is not None
    assert found.search.names == ("quality", "subsampling")
    assert found.search.at(0) == {"quality": 1, "subsampling": "4:2:0"}
    assert found.search.at(99) == {"quality": 100, "subsampling": "4:4:4"}
    assert found.parameters == {"tables": "flat", "scans": "shorter"}


def test_a_range_names_the_parameter_and_its_values() -> None:
    (found,) = resolved("jxl:effort=1..3@bpp=1")
    assert found.search is not None
    assert [found.search.at(place) for place in range(3)] == [{"effort": value} for value in "123"]
    assert found.setting == "quality=90,lossless=false,effort=1..3,@bpp=1"


def test_a_parameter_that_is_not_whole_has_1024_steps_of_equal_ratio() -> None:
    (found,) = resolved("jpeg2000-tuned@bpp=1")
    assert found.search is not None
    values = found.search.values
    steps = [high / low for low, high in itertools.pairwise(values)]
    assert (len(values), values[0]) == (1025, 1.0)
    assert max(steps) / min(steps) < 1.0002  # of five significant digits


def test_a_sweep_without_numbers_is_searched_in_its_order() -> None:
    (found,) = resolved("jpeg2000@bpp=1")
    assert found.search is not None
    assert list(found.search.values)[:2] == ["20", "20,10"]


def test_a_progressive_codec_answers_by_points_unless_a_range_is_named() -> None:
    (by_points,), (by_search,) = resolved("jpeg-progressive@bpp=1"), resolved("jpeg-progressive:quality=1..9@bpp=1")
    assert (by_points.search, by_points.setting) == (None, "quality=90,@bpp=1")
    assert by_search.search is not None
    assert [one.setting for one in resolved("jpeg2000-progressive@bpp=1")] == [
        "transform=none-5/3,@bpp=1",
        "transform=ict-9/7,@bpp=1",
    ]


@pytest.mark.parametrize(
    ("text", "best"),
    [
        ("bpp=1", 1.1),  # the nearest
        ("bpp<=1", 0.8),  # a limit of the rate: the highest below it
        ("bpp>=1", 1.1),
        ("psnr_db>=33", 1.1),  # a demand for quality: the lowest rate that meets it
        ("psnr_db<=33", 0.8),
        ("mse<=40", 1.1),
        ("mse>=40", 0.8),
    ],
)
def test_the_best_value_is_the_nearest_or_the_best_that_meets_the_condition(text: str, best: float) -> None:
    (target,) = targets_of("jpeg", text)
    tries = {0.5: (28, 100), 0.8: (31, 51), 1.1: (34, 26), 2.0: (40, 6)}  # bpp: PSNR, MSE

    def found(bpp: float) -> Found:
        value = {"bpp": bpp, "psnr_db": tries[bpp][0], "mse": tries[bpp][1]}[target.quantity]
        return Found(value, 512 * bpp)

    chosen = 0.5
    for bpp in tries:
        if target.is_better(found(bpp), than=found(chosen)):
            chosen = bpp
    assert chosen == best


def test_a_target_is_reached_within_the_tries_or_close_to_them() -> None:
    rate, quality = Target("bpp", "=", 1.0), Target("psnr_db", "=", 35.0, kind="higher", unit="dB")
    assert rate.is_reached(Found(0.91, 1), [Found(0.91, 1)])
    assert not rate.is_reached(Found(0.89, 1), [Found(0.89, 1)])
    assert rate.is_reached(Found(0.6, 1), [Found(0.6, 1), Found(1.5, 2)])
    assert quality.is_reached(Found(34.5, 1), [Found(34.5, 1)])
    assert not quality.is_reached(Found(34.4, 1), [Found(34.4, 1)])
    assert not rate.is_reached(Found(math.nan, 1), [Found(math.nan, 1)])


def test_the_distance_from_a_target_is_relative_for_rates_and_in_the_unit_of_a_metric() -> None:
    assert Target("bpp", "=", 2.0).error(Found(2.5, 1)) == 0.25
    assert Target("psnr_db", "=", 35.0, kind="higher", unit="dB").error(Found(34.5, 1)) == -0.5
