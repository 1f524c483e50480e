"""Guards `uqdm bench published`: sets, systems with their facts, points as CSV, and messages for unknown names."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from click.testing import Result
from typer.testing import CliRunner

from uqdm.cli.main import app


def published(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["bench", "published", *arguments])


def test_without_a_set_the_sets_are_listed() -> None:
    done = published()
    assert done.exit_code == 0, done.output
    (kodak,) = [line for line in done.stdout.splitlines() if line.startswith("kodak ")]
    assert kodak.split()[1:3] == ["164", "1942"]
    assert "the 24 photographs of the Kodak suite" in kodak


def test_systems_are_listed_with_family_rates_kind_source_and_caveat() -> None:
    done = published("--dataset", "kodak", "--family", "overfitted")
    assert done.exit_code == 0, done.output
    (coin,) = [line for line in done.stdout.splitlines() if line.startswith("coin ")]
    for part in (
        "overfitted",
        "psnr_db",
        "unstated",
        "EmilienDupont/coin/results.json@a21e50746a",
        "COIN (Dupont 2021)",
    ):
        assert part in coin
    assert "cai-vtm" not in done.stdout
    assert "17 systems; the rate is: bitstream, length of what an entropy coder wrote" in done.stdout.splitlines()[-1]


def test_points_are_printed_as_csv() -> None:
    done = published("--dataset", "clic2020-test", "--family", "gan", "--csv")
    table = pd.read_csv(io.StringIO(done.stdout))
    assert set(table.family) == {"gan"}
    hific = table[table.system == "hific-official"]
    assert list(hific.setting) == ["lo", "mi", "hi"]
    assert hific.fid.iloc[0] == 4.1973653  # as published
    assert set(hific.lpips_net) == {"alex"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("published", "--dataset", "kodk"), "no published curves on 'kodk' (did you mean kodak?)"),
        (("published", "--family", "gann"), "no family 'gann' (did you mean gan?)"),
        (("plot", "--run", "absent", "--published", "dcea"), "no published system 'dcea' (did you mean dcae"),
    ],
)
def test_unknown_names_are_answered_with_suggestions(arguments: tuple[str, ...], message: str) -> None:
    done = CliRunner().invoke(app, ["bench", *arguments])
    assert message in str(done.exception)
