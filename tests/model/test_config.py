"""Invalid configurations: one error that names the file and the key."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from uqdm.model import checkpoint
from uqdm.model.checkpoint import CheckpointError, build, load
from uqdm.model.zoo import SHIPPED

STEPWISE: dict[str, Any] = {
    "format": checkpoint.FORMAT,
    "image_size": 8,
    "schedule": {"slope": 18.21, "gamma_max": 6.0, "n_steps": 3},
    "denoiser": {"kind": "stepwise", "widths": [4, 4], "dilations": [[1], [1]]},
    "tolerance": [{"x_hat": 1e-6, "log2_scale": 1e-6}] * 3,
}
UNET = {**STEPWISE, "denoiser": {"kind": "unet", "embedding_dim": 8, "n_blocks": 1, "norm_groups": 4, "dropout": 0.0}}
POINTS = {
    **STEPWISE,
    "image_size": 1,
    "levels": {"mean": [115.6, 135.3], "deviation": [47.2, 41.6]},
    "denoiser": {"kind": "points", "width": 4},
}
SECTIONED = {
    **STEPWISE,
    "denoiser": {"kind": "sectioned", "networks": [{"width": 4, "dilations": [1], "hidden": 4}] * 2},
}
VALUES = [
    None, True, False, 0, 1, -1, 7, 4.0, 0.5, 1e308, -1e308, 1e-308, float("nan"), float("inf"), 10**30, -(2**63),
    10**5000, "", "x", "1", "\ud800", "\x1b[31m", [], {}, [[]], [None], {"a": 1}, [1] * 1000,
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('"slope": 18.21>"slope": Infinity', "not valid JSON .Infinity is no number"),
        ('"slope": 18.21>"slope": 1e999', "schedule.slope: expected a finite number, got float inf"),
        ('"slope": 18.21>"slope": 0', "schedule: slope must be at least"),
        ('"n_steps": 3>"n_steps": 3.0', "schedule.n_steps: expected a whole number, got float 3.0"),
        ('"n_steps": 3>"n_steps": true', "schedule.n_steps: expected a whole number, got bool True"),
        ('"n_steps": 3>"n_steps": 3, "n_steps": 4', "the key 'n_steps' is repeated"),
        ('"image_size": 8>"image_size": 1000000', "image_size: must be at most 4096, got int 1000000"),
        ('"image_size": 8>"image_size": null', "image_size: expected a whole number, got null"),
        ('"image_size": 8>"size": 8', "image_size must be given"),
        ('"widths": [4, 4]>"widths": [4, -4]', r"denoiser: widths\[1\]: must be at least 1, got int -4"),
        ('"widths": [4, 4]>"widths": [4096, 4096]', "its weights do not fit its configuration"),
        ('"kind": "stepwise">"kind": "step"', "denoiser kind 'step' is unknown; known: multiscale, points, sectioned"),
        ('"kind": "stepwise">"kind": "stepwise", "depth": 2', "denoiser: unknown key 'depth'; known: channels"),
        ('"x_hat": 1e-06>"x_hat": "1e-6"', r"tolerance\[0\].x_hat: expected a finite number, got str '1e-6'"),
        ('"x_hat": 1e-06>"x_hat": 0', r"tolerance\[0\].x_hat: must be more than 0"),
        ("{>[" * 1, "not valid JSON"),
    ],
)
def test_faults_of_a_configuration_are_named(tmp_path: Path, change: str, message: str) -> None:
    checkpoint.save(tmp_path, STEPWISE, build(STEPWISE)[0])
    old, new = change.split(">")
    text = json.dumps(STEPWISE)
    assert old in text
    (tmp_path / "config.json").write_text(text.replace(old, new, 1))
    with pytest.raises(CheckpointError, match=message) as caught:
        load(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff{}",
        b"null",
        b"[]",
        b"7",
        b'"text"',
        b"[" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"9" * 5000,
    ],
    ids=lambda content: content[:8].hex(),
)
def test_files_that_are_not_configurations_are_refused(tmp_path: Path, content: bytes) -> None:
    checkpoint.save(tmp_path, STEPWISE, build(STEPWISE)[0])
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load(tmp_path)


def test_excessive_sizes_are_refused() -> None:
    wide = {"kind": "unet", "embedding_dim": 4096, "n_blocks": 512, "norm_groups": 4}
    with pytest.raises(CheckpointError, match=r"denoiser: describes .* weights, more than"):
        build({**UNET, "denoiser": wide})
    deep = {**STEPWISE["denoiser"], "dilations": [[1] * 256] * 2}
    assert build({**STEPWISE, "denoiser": deep}, device="meta")


def test_mutated_configurations_raise_only_checkpoint_error() -> None:
    shipped = json.loads((SHIPPED / "uqdm-pixel" / "config.json").read_text())
    del shipped["training"]
    rng, bases = random.Random(0), [STEPWISE, UNET, POINTS, SECTIONED, shipped]
    built = 0
    for _ in range(1000):
        config = _changed(rng.choice(bases), rng)
        try:
            build(config, device="meta")
            built += 1
        except CheckpointError as error:
            str(error).encode()  # whatever stands in a key or a value can be printed
    assert 50 < built < 500


def _changed(config: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    config = copy.deepcopy(config)
    for _ in range(rng.choice([1, 1, 2])):
        *way, last = rng.choice([path for path in _paths(config) if path])
        place: Any = config
        for key in way:
            place = place[key]
        if rng.random() < 0.2:
            del place[last]
        else:
            place[last] = copy.deepcopy(rng.choice(VALUES))
    return config


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _paths(inner, (*path, key))
