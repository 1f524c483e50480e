"""Options have one source, their dataclasses: the schema, config/config.yaml and the command lines agree with them."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from snakemake.utils import validate
from typer.testing import CliRunner

from uqdm.bench.evaluation.options import EvaluationOptions
from uqdm.bench.scoring.options import ScoringOptions
from uqdm.cli.main import app
from uqdm.cli.option_parameters import with_option_parameters
from uqdm.configuration import Configuration, RunOptions
from uqdm.option_fields import OptionField, arguments, from_section, option_fields, option_groups
from uqdm.swirl.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
SCHEMA_FILE = ROOT / "workflow" / "schemas" / "config.schema.yaml"
SCHEMA = yaml.safe_load(SCHEMA_FILE.read_text())
SHIPPED = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
RUNS = {"small": {"dataset": "demo", "codecs": {"png": None}}}
SECTIONS = Configuration.sections()
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string"}
COMMANDS = {"evaluate": EvaluationOptions, "score": ScoringOptions, "channel": SECTIONS["channel_cost"]}
COMMANDS |= {"grid": SECTIONS["grid"]}
COMMANDS["robustness"] = SECTIONS["robustness"]


# ---- the schema ---------------------------------------------------------------------------------------------


def section_schema(of: type) -> dict[str, Any]:
    """The schema of a section whose keys are the options of a dataclass."""
    properties = {field.name: option_schema(field) for field in option_fields(of) if field.in_section}
    for group in option_groups(of):
        if group.in_section:
            properties[group.name] = {"description": f"{group.help}.", **section_schema(group.of)}
    return {"type": "object", "additionalProperties": False, "default": {}, "properties": properties}


def option_schema(field: OptionField) -> dict[str, Any]:
    kind: str = "array" if field.is_list else TYPES[field.kind]
    none = f"; null for {field.none}" if field.none else ""
    schema = {"description": f"{field.help}{none}.", "type": [kind, "null"] if field.allows_none else kind}
    if field.is_list:
        schema["items"] = value_schema(field)
        schema |= {} if field.allows_none else {"minItems": 1}
    else:
        schema |= value_schema(field) | {"type": schema["type"]}
    return {**schema, "default": plain(field.default)}


def value_schema(field: OptionField) -> dict[str, Any]:
    bounds = {"minimum": field.minimum, "exclusiveMinimum": field.above, "maximum": field.maximum}
    stated = {name: bound for name, bound in bounds.items() if bound is not None}
    return {"type": TYPES[field.kind], **stated, **({"minLength": 1} if TYPES[field.kind] == "string" else {})}


def plain(value: Any) -> Any:
    """A value with the types of YAML."""
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value


@pytest.mark.parametrize("section", SECTIONS)
def test_the_schema_of_a_section_is_that_of_its_options(section: str) -> None:
    stated = {key: value for key, value in SCHEMA["properties"][section].items() if key != "description"}
    assert stated == section_schema(SECTIONS[section])


@pytest.mark.parametrize("field", option_fields(Configuration), ids=lambda field: field.name)
def test_the_schema_has_the_options_of_all_runs(field: OptionField) -> None:
    assert SCHEMA["properties"][field.name] == option_schema(field)


@pytest.mark.parametrize("field", option_fields(RunOptions), ids=lambda field: field.name)
def test_the_schema_has_the_options_of_a_run(field: OptionField) -> None:
    stated = SCHEMA["properties"]["runs"]["additionalProperties"]["properties"][field.name]
    assert {"default": None, **stated} == option_schema(field)


def test_the_schema_has_every_key_of_the_configuration_and_no_other() -> None:
    assert set(SCHEMA["properties"]) == {field.name for field in dataclasses.fields(Configuration)}
    run = SCHEMA["properties"]["runs"]["additionalProperties"]["properties"]
    assert set(run) == {field.name for field in dataclasses.fields(RunOptions)}
    swirl = {field.name for field in dataclasses.fields(Settings)}
    assert set(SCHEMA["properties"]["swirl"]["properties"]) == swirl | {"quick"}


def test_bounds_of_a_single_run_are_those_of_the_section_score() -> None:
    usual = SCHEMA["properties"]["score"]["properties"]["set_metrics"]["properties"]
    own = SCHEMA["$defs"]["set_metrics"]["properties"]
    assert own == {name: {k: v for k, v in one.items() if k != "default"} for name, one in usual.items()}


# ---- the shipped configuration ------------------------------------------------------------------------------


def test_the_shipped_configuration_shows_the_defaults() -> None:
    """But for the metrics: by default all are computed, which takes the demo too long."""
    own = {"runs": SHIPPED["runs"], "score": {"metrics": SHIPPED["score"]["metrics"]}}
    assert Configuration.from_mapping(SHIPPED) == Configuration.from_mapping(own)
    assert {"lpips", "dists", "fid"} <= set(SHIPPED["score"]["metrics"])


@pytest.mark.parametrize("section", SECTIONS)
def test_the_shipped_configuration_shows_every_option(section: str) -> None:
    shown = SHIPPED[section]
    for group in option_groups(SECTIONS[section]):
        if group.in_section:
            assert list(shown[group.name]) == [field.name for field in option_fields(group.of)]
    of = SECTIONS[section]
    names = {one.name for one in (*option_fields(of), *option_groups(of)) if one.in_section}
    assert set(shown) == names


def test_the_schema_fills_in_the_defaults() -> None:
    filled = {"runs": RUNS}
    validate(filled, str(SCHEMA_FILE))
    assert len(filled) > 1
    assert Configuration.from_mapping(filled) == Configuration.from_mapping({"runs": RUNS})


# ---- command lines ------------------------------------------------------------------------------------------


def other_value(field: OptionField) -> Any:
    """A value that is allowed, and is not the default."""
    least = max(field.minimum or 0, field.above or 0)
    other = {bool: not field.default, int: int(least) + 7, float: least + 0.25, str: "jpeg", Path: Path("/other")}
    value = {"metrics": "ssim", "crop": "64"}.get(field.name, other[field.kind])
    return (value,) if field.is_list else value


def parsed(of: type, given: list[str]) -> Any:
    """The options that a command which takes them reads from a command line."""
    found: list[Any] = []

    def command(options: Any) -> None:
        found.append(options)

    command.__annotations__ = {"options": of}
    one: Callable[..., Any] = with_option_parameters(command)
    taking = typer.Typer()
    taking.command()(one)
    done = CliRunner().invoke(taking, given)
    assert done.exit_code == 0, done.output
    return found[0]


@pytest.mark.parametrize("of", SECTIONS.values(), ids=SECTIONS)
def test_a_command_reads_the_options_that_the_configuration_gives(of: type) -> None:
    others = {field.name: other_value(field) for field in option_fields(of) if field.in_section}
    given = of(**others)
    assert given != of()
    assert parsed(of, arguments(given)) == given
    assert parsed(of, arguments(of())) == of() == parsed(of, [])


@pytest.mark.parametrize("of", SECTIONS.values(), ids=SECTIONS)
def test_a_command_reads_none_for_null_in_the_configuration(of: type) -> None:
    for group in (of, *(group.of for group in option_groups(of) if group.in_section)):
        nulls = {field.name: None for field in option_fields(group) if field.in_section and field.allows_none}
        given = from_section(group, nulls, "section")
        assert parsed(group, arguments(given)) == given


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_text_of_a_command_has_every_option(command: str) -> None:
    shown = " ".join(CliRunner().invoke(app, ["bench", command, "--help"], terminal_width=10_000).output.split())
    groups = [COMMANDS[command], *(group.of for group in option_groups(COMMANDS[command]))]
    for field in (field for group in groups for field in option_fields(group)):
        assert field.flag.replace("/", " / ") in shown
        assert field.help in shown


def test_the_help_text_of_a_command_needs_no_heavy_library() -> None:
    code = (
        "import sys; from uqdm.cli.bench import channel, evaluate, grid, score\n"
        "print(sorted({'ray', 'torch', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# ---- mistakes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evaluate": {"shard_sise": 9}}, r"^evaluate: no key 'shard_sise' \(did you mean shard_size\?\); it has: "),
        ({"evaluate": {"wait": True}}, "^evaluate: no key 'wait'"),
        ({"evaluate": {"shard_size": 0}}, "^evaluate: shard_size=0: must be at least 1$"),
        ({"evaluate": {"keep_streams": 1}}, "^evaluate: keep_streams=1: must be true or false$"),
        ({"workers": {"readers": 1.5}}, "^workers: readers=1.5: must be a whole number$"),
        ({"workers": {"time_limit_s": 0}}, "^workers: time_limit_s=0.0: must be above 0, or none: no limit$"),
        ({"workers": {"gpus_per_actor": 1.5}}, "^workers: gpus_per_actor=1.5: must be a part of one"),
        ({"score": {"metrics": "ssim"}}, "^score: metrics='ssim': must be a list$"),
        ({"score": {"set_metrics": {"images": 1}}}, "^score: set_metrics: images=1: must be at least 2"),
        ({"score": {"features": ""}}, "^score: features: the path is empty"),
        ({"grid": {"crop": "1,2"}}, "^grid: crop='1,2': write X,Y,WIDTH,HEIGHT in pixels, "),
        ({"channel_cost": {"kl_bits": [0.1]}}, "^channel_cost: kl_bits=0.1: must be at least 0.5$"),
        ({"compare": {"anchor": None}}, "^compare: anchor=None: must be text$"),
        ({"limit": 0}, "^limit=0: must be at least 1"),
        ({"results": "a{b}"}, "^results: 'a{b}': choose a folder without braces"),
        ({"runs": {"small": {**RUNS["small"], "limit": 0}}}, "^runs: small: limit=0: must be at least 1"),
        ({"runs": {"small": {**RUNS["small"], "set_metrics": {"images": 1}}}}, "^runs: small: images=1: must be"),
    ],
)
def test_an_invalid_value_is_reported_with_its_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Configuration.from_mapping({"runs": RUNS, **change})


def test_an_integer_written_as_a_float_is_an_integer() -> None:
    found = Configuration.from_mapping({"runs": RUNS, "evaluate": {"shard_size": 9.0}}).evaluate.shard_size
    assert (found, type(found)) == (9, int)


def test_the_path_of_a_folder_is_a_data_set(tmp_path: Path) -> None:
    found = Configuration.from_mapping({"runs": {"small": {**RUNS["small"], "dataset": str(tmp_path)}}})
    assert found.evaluate_arguments(found.runs["small"])[0] == f"--dataset=folder:{tmp_path}"
    published = {"cifar10": {"dataset": str(tmp_path)}}
    assert (
        Configuration.from_mapping({"runs": RUNS, "paper": published}).paper["cifar10"].dataset == f"folder:{tmp_path}"
    )


def test_the_choice_of_published_curves_is_checked_and_passed_on() -> None:
    assert Configuration.from_mapping({"runs": RUNS}).published_arguments() == []
    named = Configuration.from_mapping({"runs": RUNS, "published": "dcae,coin"})
    assert named.published_arguments() == ["--published=dcae,coin"]
    with pytest.raises(LookupError, match=r"no published system 'dcea' .did you mean dcae"):
        Configuration.from_mapping({"runs": RUNS, "published": "dcea"}).published_arguments()


def test_an_anchor_that_is_not_a_codec_is_an_error_with_suggestions() -> None:
    found = Configuration.from_mapping({"runs": RUNS, "compare": {"anchor": "jpgg"}})
    with pytest.raises(LookupError, match="did you mean jpeg"):
        found.compare_arguments(found.runs["small"])


def test_an_anchor_that_the_run_lacks_is_left_to_the_command() -> None:
    found = Configuration.from_mapping({"runs": RUNS, "compare": {"anchor": "jpeg"}})
    assert found.compare_arguments(found.runs["small"]) == []
    assert found.compare_arguments(RunOptions("demo", {"jpeg": None})) == ["--anchor=jpeg"]


def test_the_common_limit_and_the_bounds_of_single_runs_replace_others() -> None:
    runs = {"small": {**RUNS["small"], "limit": 9, "set_metrics": {"images": 8}}, "whole": RUNS["small"]}
    found = Configuration.from_mapping({"runs": runs, "limit": 5})
    assert {run.limit for run in found.all_runs().values()} == {5}
    small, whole = (found.score_arguments(found.all_runs()[name]) for name in ("small", "whole"))
    assert small[-3:] == ["--set-images=8", "--set-settings=0", "--set-patches=48"]
    assert whole == arguments(ScoringOptions())


def test_metrics_of_scoring_are_those_of_evaluation_too() -> None:
    found = Configuration.from_mapping({"runs": RUNS, "score": {"metrics": ["ssim", "fid"]}})
    assert found.metric_arguments(found.runs["small"]) == ["--metric=ssim", "--metric=fid"]
    usual = Configuration.from_mapping({"runs": RUNS})
    assert usual.metric_arguments(usual.runs["small"]) == []


def test_a_run_may_have_metrics_of_its_own() -> None:
    runs = {"small": {**RUNS["small"], "metrics": ["ssim"]}, "other": RUNS["small"]}
    found = Configuration.from_mapping({"runs": runs, "score": {"metrics": ["fid"]}})
    assert [found.metric_arguments(run) for run in found.runs.values()] == [["--metric=ssim"], ["--metric=fid"]]
    assert "--metric=ssim" in found.score_arguments(found.runs["small"])
    assert "--metric=fid" not in found.score_arguments(found.runs["small"])
    with pytest.raises(ValueError, match=r"^runs: small: .*did you mean ssim"):
        Configuration.from_mapping({"runs": {"small": {**RUNS["small"], "metrics": ["sism"]}}})
