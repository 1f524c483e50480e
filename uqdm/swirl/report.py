"""The tables of the swirl experiments as Markdown, LaTeX and CSV, after the verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uqdm.bench.analysis.bootstrap import LEVEL_TEXT, mean_of
from uqdm.bench.analysis.csv_cells import frame_for_people
from uqdm.bench.paper import latex
from uqdm.bench.paper.markdown import escape, markdown_table
from uqdm.files import replacing, write_bytes
from uqdm.swirl import claims
from uqdm.swirl.claims import ClaimVerdict, interval, published
from uqdm.swirl.estimates import N_DIRECTIONS, N_FLOORS, SwirlResults
from uqdm.swirl.figures import save_figures
from uqdm.swirl.systems import FACTORS, LABELS
from uqdm.swirl.training import BATCH_SIZE, GAMMA_MAX, GAMMA_MIN, GAMMA_MIN_WIDE
from uqdm.text import counted

TITLE = "The swirl experiments"
VERDICT_HEADINGS = ("claim of the paper", "where", "verdict", "measured")


@dataclass(frozen=True)
class Section:
    """A heading with text and a table; ``numeric`` are the columns of numbers."""

    title: str
    text: str
    headings: Sequence[str]
    rows: list[list[str]]
    numeric: Sequence[int]


def save_report(run_dir: Path, seeds: Sequence[int]) -> list[Path]:
    """Writes tables and figures of the measured seeds into a run's folder; returns the files."""
    measured = SwirlResults(run_dir, seeds)
    verdicts = claims.judge(measured)
    notes, parts = protocol(measured), sections(measured)
    paths = [run_dir / f"table{suffix}" for suffix in (".csv", ".md", ".tex")]
    with replacing(paths[0]) as temporary:
        frame_for_people(_rows(measured)).to_csv(temporary, index=False)
    write_bytes(paths[1], markdown(notes, verdicts, parts).encode())
    write_bytes(paths[2], as_latex(notes, verdicts, parts).encode())
    return [*paths, *save_figures(run_dir, measured)]


def protocol(measured: SwirlResults) -> list[str]:
    """The protocol of the measurements, as short notes."""
    vdm = [one for about in measured.about for one in about["systems"] if one["system"] == "vdm"]
    ends = ", ".join(sorted({f"{one['gamma_min']:.2f} to {one['gamma_max']:.2f}" for one in vdm}))
    iterations = measured.about[0]["iterations"]
    n_seeds, n_points = next(iter(measured.rates_bpd.values())).shape
    few = "" if n_seeds > 1 else " With one seed they say nothing about others."
    return [
        "Rates are negative evidence lower bounds in bits per dimension, with the KL of z_T and x given z_0, on "
        f"{n_points:,} held-out points; training draws fresh points. Intervals are {LEVEL_TEXT} intervals of "
        f"Student's over {counted(n_seeds, 'seed')} and points together; the range behind them is that of the seeds' "
        f"means.{few}",
        f"UQDM's schedule is frozen, gamma from {GAMMA_MIN:g} to {GAMMA_MAX:g}; the row with gamma_min "
        f"{GAMMA_MIN_WIDE:g} shows what the example of Kingma et al. costs: bits below the grid of the levels. VDM's "
        f"is learned, here gamma {ends}, and one VDM of T = 1000 serves every T. Beyond 48 steps, 48 are drawn for "
        "each point, spread over the schedule.",
        f"Trained for {iterations['learned']:,} iterations of {BATCH_SIZE} points, VDM for {iterations['vdm']:,}, "
        "with AdamW on the bound at one random step a point.",
        "Fixed variance is that of the posterior q(z_s | z_t, x). The forward kernel's, the default of the published "
        "image code, has a row of its own.",
        f"The variance factors are fitted, one of {len(FACTORS)} a step, on points that are neither trained nor "
        "tested on; nothing is trained.",
        "VDM's rates are ideal: no file reaches them. UQDM's are met by files, see below.",
        f"Sliced Wasserstein distance: order 1, coordinates over 255, {N_DIRECTIONS} directions, sets of "
        f"{measured.n_sampled:,} points against one reference set that is neither trained on nor coded. Between "
        f"{N_FLOORS} independent sets of the data and it: {mean_of(measured.floor):.4f} [{measured.floor.min():.4f}, "
        f"{measured.floor.max():.4f}].",
        "Pictures are drawn by the reverse process and then from p(x | z_0). PSNR has peak 255 and the mean squared "
        "error of all points and coordinates.",
        f"The paper's figures: {published('uqdm-eight').source}.",
    ]


def sections(measured: SwirlResults) -> list[Section]:
    """All tables."""
    return [_rate_section(measured), _sample_section(measured), _curve_section(measured), _file_section(measured)]


def _rate_section(measured: SwirlResults) -> Section:
    rows = []
    for system, n_steps in _ordered(measured):
        found = measured.rate((system, n_steps))
        parts = measured.table("nelbo").query("system == @system and n_steps == @n_steps")
        means = [f"{parts[f'{name}_bpd'].mean():.3f}" for name in ("prior", "steps", "last_stage")]
        rows.append([LABELS[system], str(n_steps), interval(found), f"{found.least:.2f} to {found.most:.2f}", *means])
    headings = ["system", "T", "NELBO, bits/dim", "seeds", "prior", "steps", "x given z_0"]
    return Section("Rates", "", headings, rows, (1, 2, 3, 4, 5, 6))


def _sample_section(measured: SwirlResults) -> Section:
    order = list(LABELS)
    keys = sorted(measured.samples, key=lambda key: (order.index(key[0]), key[1]))
    rows = []
    for key in keys:
        found = measured.samples[key]
        rows.append([LABELS[key[0]], str(key[1]), f"{mean_of(found):.4f}", f"{found.min():.4f} to {found.max():.4f}"])
    return Section("Samples", "", ["system", "T", "sliced Wasserstein", "seeds"], rows, (1, 2, 3))


def _curve_section(measured: SwirlResults) -> Section:
    rows = []
    for (system, n_steps), places in measured.curves.items():
        for place in places:
            exact = place["known"] > n_steps
            rows.append(
                [
                    f"{LABELS[system]}, T = {n_steps}",
                    "all" if exact else str(place["known"]),
                    f"{place['rate_bpd']:.2f}",
                    "exact"
                    if np.isinf(place["psnr_db"])
                    else "{psnr_db:.2f} [{psnr_db_low:.2f}, {psnr_db_high:.2f}]".format(**place),
                    f"{place['distance']:.4f}",
                ]
            )
    text = "What a receiver has after some steps, with z_T from the prior as in coding."
    headings = ["system", "steps known", "bits/dim", "PSNR, dB", "sliced Wasserstein"]
    return Section("On the way", text, headings, rows, (1, 2, 3, 4))


def _file_section(measured: SwirlResults) -> Section:
    rows = []
    for n_steps, part in measured.table("files").groupby("n_steps"):
        total = part[["file_bits", "ideal_bits", "coded_bits"]].sum()
        worst = (part.file_bits / part.coded_bits).max()
        rows.append(
            [
                str(n_steps),
                f"{len(part)} of {int(part.n_points.max()):,}",
                *(f"{bits / part.n_points.sum() / 2:.3f}" for bits in total),
                f"{_percent(total.file_bits / total.ideal_bits)}",
                f"{_percent(total.file_bits / total.coded_bits)} (at most {_percent(worst)})",
                f"{int(part.exact.sum())} of {len(part)}",
            ]
        )
    text = (
        "UQDM with learned variance as real files, header and all, in bits per dimension, beside the ideal bits of "
        "the same latents: by the paper's accounting, and with x given z_0 coded as one of the levels that the hard "
        "ends of the noise leave, as files do."
    )
    rates = ["file", "ideal, paper's", "ideal, as coded", "over the paper's", "over as coded"]
    return Section("Files", text, ["T", "blocks of points", *rates, "decoded exactly"], rows, range(8))


def _percent(ratio: float) -> str:
    """The difference of a ratio from 1, in percent.

    >>> _percent(1.0049)
    '+0.49 %'
    """
    return f"{100 * (ratio - 1):+.2f} %"


def _ordered(measured: SwirlResults) -> list[tuple[str, int]]:
    order = list(LABELS)
    return sorted(measured.rates_bpd, key=lambda key: (order.index(key[0]), key[1]))


def _rows(measured: SwirlResults) -> Any:
    """All values unrounded: a row for each system, T, quantity and prefix."""
    import pandas as pd

    rows: list[dict[str, Any]] = [
        {**_key(key), "quantity": "nelbo_bpd", **_value(vars(measured.rate(key)))} for key in _ordered(measured)
    ]
    for key, found in measured.samples.items():
        ends = {"mean": mean_of(found), "least": found.min(), "most": found.max()}
        rows.append({**_key(key), "quantity": "sliced_wasserstein_of_samples", **ends})
    for key, places in measured.curves.items():
        for place in places:
            head = {**_key(key), "known": place["known"], "rate_bpd": place["rate_bpd"]}
            psnr = {"mean": place["psnr_db"], "low": place["psnr_db_low"], "high": place["psnr_db_high"]}
            distances = {"mean": place["distance"], "least": place["distance_low"], "most": place["distance_high"]}
            rows += [{**head, "quantity": "psnr_db", **psnr}, {**head, "quantity": "sliced_wasserstein", **distances}]
    for n_steps, part in measured.table("files").groupby("n_steps"):
        for name in ("file_bits", "ideal_bits", "coded_bits"):
            mean = part[name].sum() / part.n_points.sum() / 2
            rows.append(
                {"system": "learned", "n_steps": n_steps, "quantity": name.replace("bits", "bpd"), "mean": mean}
            )
    return pd.DataFrame(rows)


def _key(key: tuple[str, int]) -> dict[str, Any]:
    return {"system": key[0], "n_steps": key[1]}


def _value(found: dict[str, float]) -> dict[str, float]:
    return {name: float(np.round(value, 6)) for name, value in found.items()}


def markdown(notes: list[str], verdicts: list[ClaimVerdict], parts: list[Section]) -> str:
    """The report as Markdown."""
    judged = [[one.claim, one.figure, one.word, one.evidence] for one in verdicts]
    blocks = [f"# {TITLE}", "## Verdicts", markdown_table(VERDICT_HEADINGS, judged, ())]
    for part in parts:
        blocks += [f"## {part.title}", *([escape(part.text)] if part.text else [])]
        blocks.append(markdown_table(part.headings, part.rows, part.numeric))
    return "\n\n".join([*blocks, "## How", "\n".join(f"- {escape(note)}" for note in notes)]) + "\n"


def as_latex(notes: list[str], verdicts: list[ClaimVerdict], parts: list[Section]) -> str:
    """The report as LaTeX for ``\\input``, with the packages array, booktabs and longtable."""
    text = r">{\raggedright\arraybackslash}p{%s\linewidth}"
    judged = [[one.claim, one.figure, one.word, one.evidence] for one in verdicts]
    blocks = [
        r"% \usepackage{array,booktabs,longtable}",
        r"\begingroup\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\subsection*{{{TITLE}}}",
        latex.longtable("Verdicts", f"{text % 0.25}ll{text % 0.5}", VERDICT_HEADINGS, judged),
    ]
    for part in parts:
        columns = "".join("r" if index in part.numeric else text % 0.3 for index in range(len(part.headings)))
        caption = f"{part.title}. {part.text}".strip()
        blocks.append(latex.longtable(caption, columns, part.headings, part.rows))
    return "\n\n".join([*blocks, *map(latex.escape, notes), r"\endgroup"]) + "\n"
