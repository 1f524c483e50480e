"""Guards the short table and the closing message: every codec that ran, absent ones with reasons, and paths."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from uqdm.bench.analysis.short_table import absences, closing_message, lines, short_table
from uqdm.bench.run.summary_reader import read_summary


def cells(text: str, label: str) -> list[str]:
    return next(line.removeprefix(label).split() for line in text.splitlines() if line.startswith(label + " "))


def test_every_codec_that_ran_has_a_line_and_the_others_a_reason(finished_run: Path) -> None:
    text = short_table(read_summary(finished_run))
    assert len(text.splitlines()) <= 25
    for label in ("toy-raw", "toy-model floor", "toy-model middle", "toy-faulty"):
        assert cells(text, label)[-2:] == (["6", "1"] if label == "toy-faulty" else ["7", "0"])
    assert "toy-absent skipped: codec 'toy-absent' cannot run here: libtoy is not installed; install it" in text
    assert "toy-faulty: 1 failed, the first with encode: RuntimeError: cannot encode this image" in text


def test_rates_are_those_of_the_summary(finished_run: Path) -> None:
    summary = read_summary(finished_run)
    exact = summary[(summary.codec == "toy-raw") & (summary.setting == "drop=0")].bpp.item()
    assert cells(short_table(summary), "toy-raw")[3] == f"{exact:.3f}" == f"{24 + 64 / 4096:.3f}"


def test_a_rate_between_distant_points_is_marked(finished_run: Path) -> None:
    summary = read_summary(finished_run)
    template = summary[(summary.codec == "toy-raw") & (summary.setting == "drop=4")]
    low, high = template.assign(setting="drop=5", bpp=1.0, psnr_db=28.0), template.assign(bpp=4.0, psnr_db=36.0)
    assert cells(short_table(pd.concat([low, high])), "toy-raw")[:3] == ["~1.414", "~3.364", "-"]
    near = template.assign(setting="drop=6", bpp=2.0, psnr_db=32.0)
    assert cells(short_table(pd.concat([low, near, high])), "toy-raw")[:3] == ["1.414", "3.364", "-"]


def test_the_settings_of_a_curve_are_listed_below_the_table(finished_run: Path) -> None:
    summary = read_summary(finished_run)
    template = summary[(summary.codec == "toy-raw") & (summary.setting == "drop=4")]
    settings = ("drop=4,chroma=full,fast=true", "drop=6,chroma=half,fast=true")
    text = short_table(pd.concat([template.assign(setting=setting) for setting in settings]))
    assert "toy-raw: chroma=full, half from drop=6; fast" in text.splitlines()


def test_a_codec_that_always_failed_has_a_line(finished_run: Path) -> None:
    summary = read_summary(finished_run)
    gone = summary[summary.codec == "toy-absent"].assign(status="failed", failed=7)
    (line,) = lines(gone)
    assert (line.label, line.n, line.failed, line.lossless_bpp) == ("toy-absent", 0, 14, None)  # at two settings


def test_many_codecs_are_cut_to_a_screen(finished_run: Path) -> None:
    template = read_summary(finished_run).query("codec == 'toy-raw'")
    many = pd.concat([template.assign(codec=f"codec-{number}") for number in range(40)])
    gone = read_summary(finished_run).query("codec == 'toy-absent'")
    skipped = pd.concat([gone.assign(codec=f"gone-{number}") for number in range(9)])
    text = short_table(pd.concat([many, skipped]))
    assert len(text.splitlines()) <= 25
    assert "... and 22 lines more" in text
    assert "... and 6 reasons more" in text


def test_data_sets_have_tables_of_their_own(finished_run: Path) -> None:
    one = read_summary(finished_run)
    both = pd.concat([one, one.assign(dataset="other")])
    assert [line.split(":")[0] for line in short_table(both).splitlines() if "equal PSNR" in line] == [
        "memory",
        "other",
    ]
    assert any(text.startswith("toy-absent on other skipped") for text in absences(both))


def test_the_closing_message_lists_the_existing_products(finished_run: Path, tmp_path: Path) -> None:
    message = closing_message(finished_run)
    for product in ("report.html", "plots", "summary.parquet", "summary.csv", "per_image"):
        assert f" {finished_run / product}\n" in message + "\n"
    assert "toy-raw" in message
    assert closing_message(tmp_path) == ""


def test_a_lossless_setting_does_not_change_the_rates_at_equal_psnr(finished_run: Path) -> None:
    summary = read_summary(finished_run)
    exact = summary[(summary.codec == "toy-raw") & (summary.setting == "drop=0")]
    assert exact.psnr_db.tolist() == [math.inf]
    template = summary[(summary.codec == "toy-raw") & (summary.setting == "drop=4")]
    curve = [
        template.assign(setting=f"drop={8 - step}", bpp=float(step), psnr_db=24.0 + 4 * step) for step in (1, 2, 3)
    ]
    (lossy,) = lines(pd.concat(curve))
    (whole,) = lines(pd.concat([*curve, exact]))
    assert whole.bpp_at == lossy.bpp_at
    assert [rate is not None for rate in whole.bpp_at] == [True, True, False]
    assert whole.lossless_bpp == exact.bpp.item()
