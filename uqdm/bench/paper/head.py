"""The text above the table: published and measured images, which rows can agree, and the rule of agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uqdm.bench.analysis import bootstrap
from uqdm.bench.analysis.published_curves import IMAGES, N_IMAGES, Relation
from uqdm.bench.paper import protocol
from uqdm.bench.paper.judge import MIN_IMAGES, ROUNDING, WORDS
from uqdm.bench.paper.measured import Run
from uqdm.bench.paper.protocol import HYPERPRIOR, LEARNED, Model, Weights
from uqdm.text import counted

if TYPE_CHECKING:
    import pandas as pd

COSTS_TITLE = "Appendix C: networks, files, times and network calls"
SOURCE = "Yang, Will & Mandt, Progressive Compression with Universally Quantized Diffusion Models, ICLR 2025"


@dataclass(frozen=True)
class Head:
    """Title, then paragraphs under headings."""

    title: str
    images: list[str]
    can_agree: list[str]
    rules: list[str]


def head(run: Run, table: pd.DataFrame, models: Sequence[Model], weights: Sequence[Weights] = ()) -> Head:
    """The head of a run's table."""
    return Head(
        title=f"{protocol.TITLES[run.name]}: the figures of the paper, and those measured here",
        images=[
            f"Published: {protocol.FIGURES[run.name]} of {SOURCE}. Means over {IMAGES[run.name].text}.",
            f"Measured: {counted(run.n_images, 'image')} of {run.dataset}, fingerprint {run.fingerprint}. "
            f"{run.relation.text}",
        ],
        can_agree=[
            *_files(run, table),
            *_fid(run),
            *_uqdm(run, models),
            *_learned(run, weights),
            *_counts(run),
            _others(table),
        ],
        rules=_rules(run, table, models, weights),
    )


def counts(table: pd.DataFrame, costs: pd.DataFrame) -> list[tuple[str, dict[str, int]]]:
    """Numbers of rows by verdict, for each system that runs here, in the order of the table, and for ``costs``."""
    found = []
    for title, rows in [*by_system(table), (COSTS_TITLE, costs)]:
        tally = rows.verdict.value_counts()
        found.append((title, {word: int(tally.get(word, 0)) for word in WORDS}))
    return found


def by_system(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each system that runs here, with its title."""
    run_here = table[table.codec.notna()]
    names = run_here[["system", "model"]].drop_duplicates().itertuples(index=False, name=None)
    return [
        (_title(system, model), run_here[(run_here.system == system) & (run_here.model == model)])
        for system, model in names
    ]


def references(table: pd.DataFrame) -> pd.DataFrame:
    """The published points of systems that do not run here, a row each."""
    keys = ["system", "point", "rate_kind", "verdict", "reason"]
    rows = table[table.codec.isna()]
    wide = rows.pivot_table(index=keys, columns="quantity", values="published", sort=False).reset_index()
    doubts = rows.groupby(["system", "point"])["doubt"].max().rename("doubt")
    return wide.merge(doubts, on=["system", "point"])


def bpg_by_psnr(table: pd.DataFrame) -> bool:
    """Whether the rates of BPG are compared at equal PSNR, because another encoder wrote its files."""
    return bool(((table.quantity == "bpp_at_psnr") & (table.system == "bpg")).any())


def _title(system: str, model: str) -> str:
    if system == HYPERPRIOR:
        return protocol.SMALL_TITLE
    if system in LEARNED:
        return f"{LEARNED[system].title}: {model or 'rates at the published PSNR'} ({system})"
    title = protocol.systems([Model(model, "")] if model else [])[system, model].title
    return f"{title} ({system})" if model else title


def _files(run: Run, table: pd.DataFrame) -> list[str]:
    if run.relation.kind == "other":
        return ["No row: the images are others than the published ones. Differences are shown, but judge nothing."]
    if run.relation.sampling != 0 and run.n_images < MIN_IMAGES:
        return [f"No row: intervals over fewer than {MIN_IMAGES} images are too narrow to judge by."]
    limits = {
        "same": "to within rounding and libraries, since the images are the same",
        "part": "to within the sampling error of a part of the published images",
        "sample": "to within the sampling error of two samples of one kind of images",
        "named": "to within the sampling error of two samples, if the images are what their name says",
    }
    texts = [f"Rate and PSNR of JPEG, JPEG 2000 and BPG can: {limits[run.relation.kind]}."]
    if bpg_by_psnr(table):
        texts.append(
            "Of BPG only the rate at equal PSNR can: it was coded by libx265 here, which counts quality differently "
            "than the paper's jctvc, so that neither rate nor PSNR at one quality is the published one."
        )
    return texts


def _fid(run: Run) -> list[str]:
    if run.n_images == N_IMAGES:
        return ["FID can: it is over as many images as published."] if run.relation.kind != "other" else []
    return [f"No FID can: it depends on the number of images, {run.n_images:,} here and {N_IMAGES:,} as published."]


def _uqdm(run: Run, models: Sequence[Model]) -> list[str]:
    if not models:
        return ["UQDM was not run: the configuration names no model for it."]
    others = [model.label for model in models if not model.is_published]
    same = [model.label for model in models if model.is_published]
    texts = [
        f"UQDM by {label} cannot: it is another model than the published one; its figures are shown for comparison."
        for label in others
    ]
    if run.relation.kind != "other":
        texts += [f"UQDM by {label} can: the configuration says that it is the published model." for label in same]
    return texts


def _learned(run: Run, weights: Sequence[Weights]) -> list[str]:
    texts = []
    for one in weights:
        architecture = LEARNED[one.system].architecture
        if not (one.is_published and architecture):
            texts.append(
                f"{one.system} by the named checkpoints cannot: they are not the published weights; the rates at the "
                "published PSNR are shown for comparison."
            )
        elif run.relation.kind != "other":
            texts.append(
                f"Of {one.system} only the rate at equal PSNR can, by checkpoints of {architecture}: its settings are "
                "not published. The configuration says that they are the published weights."
            )
    lacking = [name for name in LEARNED if name not in {one.system for one in weights}]
    if lacking:
        texts.append(f"Not run, since the configuration names no weights for them: {', '.join(lacking)}.")
    texts.append(f"{protocol.SMALL_TITLE} cannot: it is {protocol.SMALL_REASON}; its figures are shown for comparison.")
    return texts


def _counts(run: Run) -> list[str]:
    if run.name != "imagenet64":
        return []
    return ["Counts of the networks of Appendix C can, for all images: they follow from the configurations."]


def _others(table: pd.DataFrame) -> str:
    with_weights = table.system.str.startswith("uqdm") | table.system.isin(LEARNED)
    names = table[table.codec.isna() & ~with_weights].system.unique()
    return f"Nothing here runs {', '.join(names)}: their published figures are listed for reference."


def _rules(run: Run, table: pd.DataFrame, models: Sequence[Model], weights: Sequence[Weights]) -> list[str]:
    return [
        _agreement(run.relation),
        *_tolerances(models, by_psnr=bpg_by_psnr(table)),
        *_tolerance_of_learned(run, weights),
        f"FID has no interval over images: it agrees within {protocol.FID_SHARE:.0%} of the published one and "
        f"{protocol.FID_ABSOLUTE:g}.",
        "Agreement is only as precise as the interval, which is wide for few images.",
        "Of figures that differ by sampling alone, one in twenty falls outside by chance; those of one run are of "
        "the same images, so they are correlated.",
    ]


def _agreement(relation: Relation) -> str:
    if relation.kind == "other":
        return "No verdict of agreement is given on other images."
    widened = f"widened by {ROUNDING:.5f} for its rounding and by a tolerance for libraries"
    limits = "The limits are in table.csv as agrees_from and agrees_to."
    if relation.sampling == 0:
        return f"A row agrees if the published figure is the mean measured here, {widened}. {limits}"
    return (
        f"A row agrees if the published figure is within the {bootstrap.LEVEL_TEXT} bootstrap interval over images "
        f"of the mean measured here, stretched {relation.sampling:.3f}-fold about it (which turns its sampling error "
        f"into that of the difference of the two means), {widened}. {limits}"
    )


def _tolerances(models: Sequence[Model], *, by_psnr: bool) -> list[str]:
    texts = []
    shown = dict.fromkeys(
        (system.title.partition(",")[0], system.tolerance)
        for (name, _), system in protocol.systems(models).items()
        if not (name == "bpg" and by_psnr)
    )
    for title, tolerance in shown:
        rate = f"{tolerance.rate_share:.1%} of the rate" if tolerance.rate_share else f"{tolerance.rate_bpp:g} bpp"
        texts.append(f"Tolerance for {title}: {rate} and {tolerance.psnr_db:g} dB ({tolerance.reason}).")
    if by_psnr:
        texts.append(
            f"Tolerance for BPG: {protocol.EQUAL_PSNR_SHARE:.1%} of the rate at the published PSNR, which is read off "
            "the curve measured here, linear in dB and log rate between neighbouring settings (another HEVC encoder)."
        )
    return texts


def _tolerance_of_learned(run: Run, weights: Sequence[Weights]) -> list[str]:
    if not weights:
        return []
    names = " and ".join(one.system for one in weights)
    bpp = 8 * protocol.LEARNED_BYTES / protocol.PIXELS[run.name]
    return [
        f"Tolerance for {names}: {protocol.EQUAL_PSNR_SHARE:.1%} of the rate at the published PSNR, read off as for "
        f"BPG, and {bpp:.2g} bpp (header and end of a file)."
    ]
