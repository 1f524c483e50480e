"""Guards the short table and the closing message: every codec that ran, absent ones with reasons, and paths."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from uqdm.bench.analysis.curves import curves
from uqdm.bench.analysis.folded_rows import folded_rows
from uqdm.bench.analysis.short_table import WIDTH, absences, closing_message, common_rate, lines, short_table
from uqdm.bench.run.summary_reader import read_summary


def cells(text: str, label: str) -> list[str]:
    return next(line.removeprefix(label).split() for line in text.splitlines() if line.startswith(label + " "))


def on_one_line(text: str) -> str:
    """The text with its folded lines joined."""
    return " ".join(text.split())


def test_every_codec_that_ran_has_a_line_and_the_others_a_reason(finished_run: Path) -> None:
    text = short_table(read_summary(finished_run))
    assert len(text.splitlines()) <= 25
    for label in ("toy-raw", "toy-model floor", "toy-model middle", "toy-faulty"):
        assert cells(text, label)[-2:] == (["6", "1"] if label == "toy-faulty" else ["7", "0"])
    whole = on_one_line(text)
    assert "toy-absent skipped: codec 'toy-absent' cannot run here: libtoy is not installed; install it" in whole
    assert "toy-faulty: 1 failed, the first with encode: RuntimeError: cannot encode this image" in whole


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
    shown = sum(line.startswith("codec-") for line in text.splitlines())
    assert shown >= 12
    assert f"... and {40 - shown} lines more: see the summary" in text
    whole = short_table(pd.concat([many, skipped]), most_lines=None)
    assert {f"codec-{number}" for number in range(40)} <= {line.split(" ")[0] for line in whole.splitlines()}
    assert "... and 6 reasons more: see the report" in text


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


def of_points(finished_run: Path, **points: list[tuple[float, float, float]]) -> pd.DataFrame:
    """A summary of codecs, each given by rate, PSNR and FID of its settings."""
    summary = read_summary(finished_run)
    template = summary[(summary.codec == "toy-raw") & (summary.setting == "drop=4")]
    rows = [
        template.assign(codec=codec, setting=f"drop={number}", bpp=bpp, psnr_db=psnr_db, fid=fid)
        for codec, values in points.items()
        for number, (bpp, psnr_db, fid) in enumerate(values)
    ]
    return pd.concat(rows, ignore_index=True)


def test_qualities_of_all_codecs_are_at_one_rate_or_lacking(finished_run: Path) -> None:
    """One codec has points at 1 and 1.8 bpp, another at 1.4: values between them, not beside them."""
    nan = math.nan
    summary = of_points(
        finished_run,
        near=[(1.0, 30.0, 80.0), (1.4, 33.0, nan), (1.8, 36.0, 40.0)],
        wide=[(0.4, 26.0, 90.0), (1.4, 32.0, 50.0), (4.0, 40.0, 10.0)],
        high=[(1.5, 33.0, 70.0), (2.0, 35.0, 30.0)],
        only=[(1.4, 31.0, 60.0)],
    )
    rate = common_rate(summary)
    assert rate == 1.4
    text = short_table(summary)
    assert "PSNR, FID, KID at 1.4 bpp" in text
    share = math.log(1.4) / math.log(1.8)
    assert cells(text, "near")[4:6] == ["33.0", f"{80 - 40 * share:.1f}"]
    assert cells(text, "wide")[4:6] == ["32.0", "50.0"]
    assert cells(text, "only")[4:6] == ["31.0", "60.0"]
    assert cells(text, "high")[4:7] == ["-", "-", "-"]


def test_a_value_between_distant_rates_is_marked(finished_run: Path) -> None:
    both = {"one": [(0.5, 30.0, 9.0), (2.0, 34.0, 5.0)], "other": [(0.9, 31.0, 9.0), (1.1, 32.0, 5.0)]}
    summary = of_points(finished_run, **both)
    assert common_rate(summary) == (0.5 + 2 + 0.9 + 1.1) / 4 != 1.0
    by = {curve.label: curve.at_rate("psnr_db", 1.0) for curve in curves(summary)}
    assert (by["one"].value, by["one"].ratio) == (32.0, 4.0)
    (marked,) = [line for line in lines(summary) if line.label == "one"]
    (plain,) = [line for line in lines(summary) if line.label == "other"]
    assert marked.at_rate is not None
    assert plain.at_rate is not None
    assert marked.at_rate.cells()[0].startswith("~")
    assert not plain.at_rate.cells()[0].startswith("~")
    assert "~ interpolated between points over 5 dB or a factor of 2 in rate apart" in short_table(summary)


def test_the_table_and_the_message_fit_a_terminal_of_80_columns(finished_run: Path) -> None:
    """Long labels, settings and reasons fold; only paths may be longer."""
    summary = of_points(finished_run, **{"a-codec-with-a-name-that-is-far-too-long" * 3: [(1.0, 30.0, 80.0)] * 2})
    summary = pd.concat([summary, read_summary(finished_run)])
    summary["error"] = summary.error.where(summary.error.isna(), summary.error + " word" * 100)
    text = short_table(summary)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert len(text.splitlines()) <= 25
    paths = {str(path) for path in finished_run.iterdir()}
    long = [line for line in closing_message(finished_run).splitlines() if len(line) > WIDTH]
    assert all(line.split()[-1] in paths for line in long)


def test_counts_that_are_the_same_for_all_are_in_the_title(finished_run: Path) -> None:
    summary = of_points(finished_run, one=[(1.0, 30.0, 80.0), (1.9, 36.0, 40.0)])
    title, heading, *_ = short_table(summary).splitlines()
    assert title.startswith("memory, 7 images: ")
    assert heading.split()[-3:] == ["PSNR", "FID", "KID"]
    single = short_table(summary.assign(n=1))
    assert single.splitlines()[0].startswith("memory, 1 image: ")
    failed = summary.assign(failed=[1, 0])
    assert short_table(failed).splitlines()[1].split()[-1] == "failed"


def test_columns_that_do_not_fit_go_to_further_lines() -> None:
    rows = [
        ["codec", *(f"metric {number}" for number in range(12))],
        ["jpeg", *(f"{number}.123" for number in range(12))],
    ]
    heading, figures = folded_rows(rows, 40)
    assert [len(line) <= 40 for line in (*heading, *figures)] == [True] * (len(heading) + len(figures))
    assert " ".join(" ".join(figures).split()) == " ".join(rows[1])
    assert len(heading) == len(figures) > 1
