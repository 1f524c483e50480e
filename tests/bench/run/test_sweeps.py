"""Guards ranges and lists of values in requests of codecs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from typer.testing import CliRunner

from uqdm.bench.run.codec_settings import format_request, parse_request, requests_from_mapping, resolve
from uqdm.bench.run.sweeps import MOST_SETTINGS, settings_of
from uqdm.cli.main import app
from uqdm.codec import Parameter, ParameterError

DECLARED = (
    Parameter("quality", int, 75, minimum=1),
    Parameter("ratio", float, 10.0),
    Parameter("lossless", bool, False),
    Parameter("subsampling", str, "4:4:4", choices=("4:4:4", "4:2:0", "a|b")),
    Parameter("model", str, ""),
    Parameter("anything", str, "", sweeps=True),
)


def values(**parameters: Any) -> list[Any]:
    (name,) = parameters
    return [one[name] for one in settings_of("toy", parameters, DECLARED)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50", ["50"]),
        ("10..90:10", ["10", "20", "30", "40", "50", "60", "70", "80", "90"]),
        ("10..95:40", ["10", "50", "90"]),  # no step leads to 95
        ("1..4", ["1", "2", "3", "4"]),
        ("7..7", ["7"]),
        ("-2..2:2", ["-2", "0", "2"]),
        ("1..1e2:99", ["1", "100"]),
        ("10|20|50", ["10", "20", "50"]),
        ("10 | 20", ["10", "20"]),
        ("10..30:10|75", ["10", "20", "30", "75"]),
    ],
)
def test_a_whole_number_takes_ranges_and_lists(text: str, expected: list[str]) -> None:
    assert values(quality=text) == expected


def test_decimal_steps_are_exact_and_the_end_is_included() -> None:
    assert values(ratio="0.1..0.7:0.1") == ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"]
    assert values(ratio="10..30:10") == ["10", "20", "30"]


def test_booleans_and_choices_take_lists_and_other_texts_are_not_divided() -> None:
    assert values(lossless="true|false") == ["true", "false"]
    assert values(subsampling="4:4:4|4:2:0") == ["4:4:4", "4:2:0"]
    assert values(subsampling="a|b") == ["a|b"], "a choice itself"
    assert values(model="../a|b/1..3:1") == ["../a|b/1..3:1"]
    assert values(unknown="1..3") == ["1..3"], "left to the codec, which names its parameters"
    assert values(quality=50) == [50]


def test_a_free_text_that_allows_it_is_read_as_a_sweep_where_it_is_one() -> None:
    assert values(anything="50..90:20") == ["50", "70", "90"]
    assert values(anything="20,10,5|20") == ["20,10,5", "20"]
    assert values(anything="../a") == ["../a"]


def test_several_swept_parameters_give_their_product() -> None:
    found = settings_of("toy", {"quality": "10|20", "model": "m", "lossless": "true|false"}, DECLARED)
    assert [(one["quality"], one["lossless"]) for one in found] == [
        ("10", "true"),
        ("10", "false"),
        ("20", "true"),
        ("20", "false"),
    ]
    assert {one["model"] for one in found} == {"m"}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"quality": "10..x:10"}, "codec toy: quality='10..x:10': a range is START..END or START..END:STEP"),
        ({"quality": "10..90:0"}, "codec toy: quality='10..90:0': the step must be above 0"),
        ({"quality": "90..10:10"}, "codec toy: quality='90..10:10': write the smaller end first: 10..90"),
        ({"quality": "10||20"}, "codec toy: quality='10||20': a value is missing"),
        ({"ratio": "0.1..0.5"}, "codec toy: ratio='0.1..0.5': give the step too"),
        ({"quality": "1..1000000000"}, "codec toy: quality=1..1000000000 gives 1,000,000,000 settings"),
        ({"quality": "1..100", "ratio": "1..100"}, "codec toy: quality x ratio gives 10,000 settings"),
        ({"quality": "1..1e99:1e-99"}, "one request may give 1,000: name fewer"),
    ],
)
def test_a_malformed_sweep_is_one_line_with_codec_and_parameter(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(message)) as caught:
        settings_of("toy", parameters, DECLARED)
    assert "\n" not in str(caught.value)


def test_the_bound_is_the_most_that_is_allowed() -> None:
    assert len(values(quality=f"1..{MOST_SETTINGS}")) == MOST_SETTINGS
    with pytest.raises(ParameterError, match="1,001 settings"):
        values(quality=f"1..{MOST_SETTINGS + 1}")


def test_a_request_on_the_command_line_resolves_to_its_settings() -> None:
    found = resolve([parse_request("jpeg:quality=10..30:10"), parse_request("jpeg:quality=20|40")])["jpeg"]
    assert [one.setting for one in found] == ["quality=10", "quality=20", "quality=30", "quality=40"]
    assert found[0].parameters == {"quality": 10}


def test_a_value_of_a_range_that_the_codec_refuses_is_an_error() -> None:
    with pytest.raises(ParameterError, match="quality='101': must be at most 100"):
        resolve([parse_request("webp:quality=99..101")])


@pytest.mark.parametrize("quality", [[10, 20, 30], "10..30:10", "10|20|30", [10, "20..30:10"]])
def test_a_configuration_takes_lists_and_texts(quality: object) -> None:
    requests = requests_from_mapping({"jpeg": {"quality": quality}})
    again = [parse_request(format_request(request)) for request in requests]
    assert [one.setting for one in resolve(again)["jpeg"]] == ["quality=10", "quality=20", "quality=30"]


def test_lists_of_a_configuration_hold_any_text_and_several_give_their_product() -> None:
    found = requests_from_mapping({"uqdm": [{"model": ["a|b", "c"], "seed": [1, 2]}]})
    assert [one.parameters for one in found] == [
        {"model": model, "seed": seed} for model in ("a|b", "c") for seed in (1, 2)
    ]
    with pytest.raises(ParameterError, match=r"codec jpeg: quality=\[\] has no values"):
        requests_from_mapping({"jpeg": {"quality": []}})
    with pytest.raises(ParameterError, match="codec jpeg: quality gives 1,001 settings"):
        requests_from_mapping({"jpeg": {"quality": list(range(1001))}})


def test_a_program_sweeps_its_quality() -> None:
    text = "program:encode=cp {input} {output} -q {quality},decode=cp {input} {output},suffix=.png,quality=50..90:20"
    assert [one.parameters["quality"] for one in resolve([parse_request(text)])["program"]] == ["50", "70", "90"]


def test_a_malformed_sweep_stops_an_evaluation_before_work() -> None:
    arguments = ["bench", "evaluate", "--dataset=demo", "--codec=jpeg:quality=90..10", "--out=unused"]
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "write the smaller end first: 10..90" in str(done.exception)
