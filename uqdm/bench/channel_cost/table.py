"""The measured costs as Markdown."""

from __future__ import annotations

import pandas as pd

from uqdm.bench.analysis.bootstrap import LEVEL_TEXT
from uqdm.channel.gaussian import LOST_MASS

_HEADINGS = (
    "KL, bits",
    "messages",
    "stopped",
    "code, bits",
    "code - KL, bits",
    "by the code's model, bits",
    "draws, mean",
    "draws, median",
    "by theory",
    "mean / theory",
    "mean of samples - that of q, sd",
    "ms",
)


def notes(table: pd.DataFrame) -> list[str]:
    """Explanations of the figures."""
    return [
        "Samples of q are sent to a receiver who knows p and the seed: one message per sample, in whole bits of a "
        "prefix code. q = N(mu, 1) and p = N(0, 1); for universal quantization q is uniform of unit "
        "variance, p a standard Gaussian convolved with it, and mu such that their KL divergence is the one stated.",
        "The density ratio of these Gaussians is unbounded. q is truncated at mu + 4 sd for the Poisson functional "
        f"representation and greedy rejection coding, which removes {LOST_MASS:.1e} of its mass; the maximum of the "
        "ratio is then w_max = exp(KL + 4 sqrt(2 KL)), KL in nats. The Poisson functional representation examines "
        "w_max candidates on average. So does greedy rejection coding, but its mean is dominated by rare long "
        "searches: see its median.",
        f"Means have {LEVEL_TEXT} bootstrap intervals over messages. A message is stopped when its search has examined "
        "max_draws candidates (a column of table.csv). Where a message was stopped no mean is given, since cheap "
        "messages finish more often.",
        *(
            f"{str(method).capitalize()} is biased by design: its samples {rows.bias.iloc[0]}."
            for method, rows in table[table.bias != ""].groupby("method", sort=False)
        ),
    ]


def markdown(table: pd.DataFrame) -> str:
    """The whole page, a table for each method."""
    parts = ["# What channel simulation costs", *notes(table)]
    for method, rows in table.groupby("method", sort=False):
        lines = [_HEADINGS, ("---:",) * len(_HEADINGS), *(_cells(row) for _, row in rows.iterrows())]
        parts.append(f"## {str(method).capitalize()} ({rows.source.iloc[0]})")
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(parts) + "\n"


def _cells(row: pd.Series) -> tuple[str, ...]:
    return (
        f"{row.kl_bits:g}",
        f"{row.n:,}",
        str(row.stopped),
        _interval(row, "code_bits", ".2f"),
        _interval(row, "excess_bits", ".2f"),
        _number(row.ideal_bits, ".2f"),
        _interval(row, "draws", ",.4g" if row.draws < 1e4 else ",.0f"),
        _number(row.draws_median, ",.0f"),
        _number(row.draws_by_theory, ",.0f"),
        _number(row.draws_ratio, ".2f"),
        _interval(row, "shift_sd", "+.2f"),
        _number(row.ms, ".3g"),
    )


def _interval(row: pd.Series, name: str, form: str) -> str:
    if row[name] != row[name]:
        return "-"
    return f"{row[name]:{form}} ({row[f'{name}_low']:{form}} to {row[f'{name}_high']:{form}})"


def _number(value: float, form: str) -> str:
    return "-" if value != value else f"{value:{form}}"
