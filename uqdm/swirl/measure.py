"""Measures all systems of a seed on held-out points, and writes the results of each point.

Below a folder, for seed S: ``nelbo-seedS.parquet``, ``progressive-seedS.parquet``, ``samples-seedS.parquet``,
``files-seedS.parquet``, and last ``seedS.json`` with schedules and settings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uqdm.files import replacing, write_bytes
from uqdm.model.checkpoint import Model
from uqdm.progressive.points import PointsCodec
from uqdm.swirl.pictures import progressive, samples
from uqdm.swirl.rates import PARTS, nelbo_bits
from uqdm.swirl.systems import ScaledDenoiser, SwirlSystem, as_system, trained, vdm_systems, with_forward_kernel
from uqdm.training.data.swirl import swirl_points
from uqdm.training.validation import POINTS_SEED

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 1024
"""Points in a file."""
PROGRESSIVE = {"learned": (3, 5, 10, 30), "fixed": (5,), "vdm": (20, 100)}
"""Systems and T that are sent and reconstructed step by step, if they are measured."""
SAMPLED = ("vdm", "learned", "fixed")
MOST_SAMPLED = 100
"""Largest T for samples: each step is a network call for every sample."""
LineCallback = Callable[[str], Any]


def held_out(n: int, set_index: int = 0) -> np.ndarray:
    """Held-out points, uint8 [n, 2], never drawn in training; sets with different indices are independent.

    >>> held_out(2).tolist() == held_out(3)[:2].tolist()
    False
    """
    return swirl_points(n, np.random.default_rng([POINTS_SEED, set_index]))


def measure_seed(
    models: Path, out: Path, seed: int, vdm_steps: list[int], n_points: int, n_sampled: int, report: LineCallback = str
) -> None:
    """Measures the models of a seed. The points are the same for all seeds."""
    by_kind = {kind: trained(models, kind, seed) for kind in ("vdm", "learned", "fixed", "wide")}
    systems = _systems(by_kind, vdm_steps, seed)
    points, coded = held_out(n_points), held_out(n_sampled, 1)
    tables = {
        "nelbo": (_nelbo(system, points, seed) for system in systems),
        "progressive": (
            _progressive(one, coded, seed) for one in systems if one.n_steps in PROGRESSIVE.get(one.name, ())
        ),
        "samples": (
            _samples(one, n_sampled, seed) for one in systems if one.name in SAMPLED and one.n_steps <= MOST_SAMPLED
        ),
        "files": (_files(model, points) for model in by_kind["learned"].values()),
    }
    for name, parts in tables.items():
        _write(out / f"{name}-seed{seed}.parquet", _reported(parts, name, report))
    about = {
        "seed": seed,
        "points": n_points,
        "sampled_points": n_sampled,
        "iterations": {kind: _iterations(of) for kind, of in by_kind.items()},
        "systems": [_about(one) for one in systems],
    }
    write_bytes(out / f"seed{seed}.json", (json.dumps(about, indent=2) + "\n").encode())


def _systems(by_kind: dict[str, dict[int, Model]], vdm_steps: list[int], seed: int) -> list[SwirlSystem]:
    plain = [as_system(kind, model) for kind in ("learned", "fixed", "wide") for model in by_kind[kind].values()]
    forward = [with_forward_kernel(system) for system in plain if system.name == "fixed"]
    (vdm,) = by_kind["vdm"].values()
    return [*plain, *forward, *vdm_systems(vdm, vdm_steps, list(by_kind["fixed"]), seed)]


def _iterations(models: dict[int, Model]) -> int:
    """Number of training iterations, the same for all models of a kind."""
    model = next(iter(models.values()))
    return int(model.config["training"]["recipe"]["n_iterations"])


def _about(system: SwirlSystem) -> dict[str, Any]:
    schedule = system.schedule
    factors = {"factors": system.denoiser.factors} if isinstance(system.denoiser, ScaledDenoiser) else {}
    return {
        "system": system.name,
        "n_steps": system.n_steps,
        "gamma_min": schedule.gamma(0.0),
        "gamma_max": schedule.gamma_max,
        **factors,
    }


def _frame(system: str, n_steps: int, columns: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({"system": system, "n_steps": n_steps, **columns})


def _nelbo(system: SwirlSystem, points: np.ndarray, seed: int) -> pd.DataFrame:
    """A row for each point; rates in bits per dimension."""
    bits = nelbo_bits(system, points, seed) / points.shape[1]
    parts = {f"{name}_bpd": bits[:, column] for column, name in enumerate(PARTS)}
    return _frame(system.name, system.n_steps, {"point": np.arange(len(points)), **parts})


def _progressive(system: SwirlSystem, points: np.ndarray, seed: int) -> pd.DataFrame:
    """A row for each point and prefix; ``known`` is the number of known steps, T + 1 for the lossless end."""
    import pandas as pd

    frames = [
        _frame(
            system.name,
            system.n_steps,
            {
                "known": place.n_known,
                "point": np.arange(len(points)),
                "rate_bpd": place.rate_bits / points.shape[1],
                **_coordinates(place.points_uint8),
                "original_x": points[:, 0],
                "original_y": points[:, 1],
            },
        )
        for place in progressive(system, points, seed)
    ]
    return pd.concat(frames)


def _samples(system: SwirlSystem, n: int, seed: int) -> pd.DataFrame:
    return _frame(system.name, system.n_steps, _coordinates(samples(system, n, seed)))


def _coordinates(points_uint8: np.ndarray) -> dict[str, np.ndarray]:
    return {"x": points_uint8[:, 0], "y": points_uint8[:, 1]}


def _files(model: Model, points: np.ndarray) -> pd.DataFrame:
    """A row for each block of points: bits of its file, ideal bits by the paper's accounting and by the file's last
    stage, and whether it was decoded without loss.
    """
    codec, rows = PointsCodec(model), []
    for block, begin in enumerate(range(0, len(points), BLOCK)):
        part = points[begin : begin + BLOCK]
        data = codec.compress(part)
        exact = bool(np.array_equal(codec.decompress(data), part))
        ideal = [sum(codec.ideal_bits(part, window=window)) for window in (False, True)]
        rows.append((block, len(part), 8 * len(data), *ideal, exact))
    columns = ("block", "n_points", "file_bits", "ideal_bits", "coded_bits", "exact")
    named = {name: list(values) for name, values in zip(columns, zip(*rows, strict=True), strict=True)}
    return _frame("learned", model.schedule.n_steps, named)


def _reported(parts: Iterable[pd.DataFrame], name: str, report: LineCallback) -> Iterator[pd.DataFrame]:
    for part in parts:
        report(f"{name}: {part.system.iloc[0]}, T = {part.n_steps.iloc[0]}")
        yield part


def _write(path: Path, parts: Iterable[pd.DataFrame]) -> None:
    import pandas as pd

    with replacing(path) as temporary:
        pd.concat(parts).to_parquet(temporary, index=False)
