"""Guards the check of the configuration: a mistake is one line with the key, what is wrong, and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from uqdm.config_schema import check_against_schema

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = yaml.safe_load((ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text())
SHIPPED = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
RUN = {"dataset": "demo", "codecs": {"png": None}}


def in_run(**change: Any) -> dict[str, Any]:
    return {"runs": {"small": {**RUN, **change}}}


def in_paper(**change: Any) -> dict[str, Any]:
    return {"paper": {"cifar10": {"dataset": "cifar10", **change}}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"limmit": 3}, "no key 'limmit' (did you mean limit?); it has: results, "),
        ({"evaluate": {"shardsize": 3}}, "evaluate: no key 'shardsize' (did you mean shard_size?); it has: shard_size"),
        ({"evaluate": {"shard_size": "x"}}, "evaluate: shard_size='x': must be a whole number"),
        ({"evaluate": None}, "evaluate=None: must be a mapping"),
        ({"workers": {"time_limit_s": 0}}, "workers: time_limit_s=0: must be above 0"),
        ({"score": {"metrics": "ssim"}}, "score: metrics='ssim': must be a list or null"),
        ({"channel_cost": {"kl_bits": [0.5, 99]}}, "channel_cost: kl_bits: item 2=99: must be at most 20"),
        ({"swirl": {"steps": [5, 5]}}, "swirl: steps=[5, 5]: an item is repeated"),
        ({"runs": 5}, "runs=5: must be a mapping"),
        ({"runs": {}}, "runs={}: must have at least 1, it has 0"),
        ({"runs": {"small": {"dataset": "demo"}}}, "runs: small: the key 'codecs' is missing"),
        (in_run(datset="demo"), "runs: small: no key 'datset' (did you mean dataset?); it has: dataset, "),
        (in_run(dataset=""), "runs: small: dataset='': the text is empty"),
        (in_run(limit=0), "runs: small: limit=0: must be at least 1"),
        (in_run(codecs={"jpeg": 5}), "runs: small: codecs: jpeg=5: must be null or a mapping or a list"),
        (in_run(codecs={"jpeg": [5]}), "runs: small: codecs: jpeg: item 1=5: must be a mapping"),
        (in_paper(models={"a b": "x"}), "paper: cifar10: models: 'a b': use letters, digits"),
        (in_paper(models={"a": {"published": True}}), "paper: cifar10: models: a: the key 'path' is missing"),
        (in_paper(checkpoints={"vae-x": ["a"]}), "paper: cifar10: checkpoints: no key 'vae-x'"),
        ({"paper": {"cifar100": {}}}, "paper: no key 'cifar100' (did you mean cifar10?)"),
    ],
)
def test_a_mistake_is_one_line_with_its_key(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011, since the whole text is checked below
        check_against_schema({**SHIPPED, **change}, SCHEMA)
    assert str(caught.value).startswith(message)
    assert len(str(caught.value).splitlines()) == 1


def test_further_mistakes_are_counted() -> None:
    with pytest.raises(ValueError, match=r"must be at least 1 \(and 1 more\)$"):
        check_against_schema({**SHIPPED, "limit": 0, **in_run(limit=0)}, SCHEMA)


def test_the_shipped_configuration_is_right() -> None:
    check_against_schema(SHIPPED, SCHEMA)


def test_a_long_value_with_control_characters_is_cut_and_escaped() -> None:
    with pytest.raises(ValueError, match="must be a whole number or null") as caught:
        check_against_schema({**SHIPPED, "limit": "\x1b[2J\n" * 100}, SCHEMA)
    assert len(str(caught.value)) < 120
    assert "\x1b" not in str(caught.value)
