"""Sends many samples by each method at each divergence, and summarizes bits, candidates and times."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from uqdm.bench.analysis.bootstrap import mean_intervals
from uqdm.bench.channel_cost.options import ChannelCostOptions
from uqdm.channel.contract import Sent, Simulator
from uqdm.channel.gaussian import log_max_ratio, mean_of_kl
from uqdm.channel.greedy_rejection import GreedyRejection, SplitGreedyRejection
from uqdm.channel.minimal_random import MinimalRandom
from uqdm.channel.ordered_random import OrderedRandom
from uqdm.channel.poisson import PoissonFunctional
from uqdm.channel.universal import UniversalQuantization, uniform_mean_of_kl

METHODS: tuple[type[Simulator], ...] = (
    UniversalQuantization,
    PoissonFunctional,
    GreedyRejection,
    SplitGreedyRejection,
    MinimalRandom,
    OrderedRandom,
)
LEAST_REPETITIONS = 8


@dataclass(frozen=True)
class Row:
    """One method at one divergence. Means are NaN where a message was stopped: cheap messages finish more often."""

    method: str
    source: str
    bias: str
    """How the method's samples differ from q by design; empty for exact methods, whose q may be truncated."""
    kl_bits: float
    n: int
    """Messages, including stopped ones."""
    stopped: int
    """Messages stopped at ``max_draws`` candidates."""
    max_draws: int
    code_bits: float
    """Mean length of the real message, in whole bits."""
    code_bits_low: float
    code_bits_high: float
    ideal_bits: float
    """Mean of -log2 of the message's probability by the code's model."""
    excess_bits: float
    """``code_bits`` minus ``kl_bits``."""
    excess_bits_low: float
    excess_bits_high: float
    draws: float
    """Mean number of candidates examined per dimension (there is one)."""
    draws_low: float
    draws_high: float
    draws_median: float
    """NaN if half of the messages or more were stopped."""
    draws_by_theory: float
    draws_ratio: float
    """``draws`` over ``draws_by_theory``; NaN for greedy rejection, whose mean is dominated by rare long searches."""
    shift_sd: float
    """Mean of the samples minus that of q, in deviations: negative for a bias towards p."""
    shift_sd_low: float
    shift_sd_high: float
    ms: float
    """Mean encoding time, including stopped messages, in milliseconds."""


def measure(options: ChannelCostOptions, report: Callable[[Row], None] = lambda row: None) -> pd.DataFrame:
    """All methods at all divergences, one row each; ``report`` is called with each row when it is measured.

    >>> table = measure(ChannelCostOptions(kl_bits=(1.0,), repetitions=2, max_draws=1000))
    >>> table.draws[table.method == "universal quantization"].tolist()
    [1.0]
    """
    rows = []
    for row in _rows(options):
        report(row)
        rows.append(asdict(row))
    return pd.DataFrame(rows)


def _rows(options: ChannelCostOptions) -> Iterator[Row]:
    for method in METHODS:
        for kl_bits in options.kl_bits:
            yield measure_point(method, float(kl_bits), options)


def measure_point(method: type[Simulator], kl_bits: float, options: ChannelCostOptions) -> Row:
    """One method at one divergence. The number of messages does not depend on their outcomes."""
    coder = method(kl_bits, max_draws=options.max_draws)
    theory = draws_by_theory(coder)
    # Typical searches of greedy rejection coding are far shorter than the mean.
    each = theory if isinstance(coder, PoissonFunctional) else 2 ** (kl_bits + 6)
    n = min(options.repetitions, max(LEAST_REPETITIONS, int(options.draws / min(each, coder.max_draws))))
    mean = uniform_mean_of_kl(kl_bits) if method is UniversalQuantization else mean_of_kl(kl_bits)
    begun = time.perf_counter()
    sent = [coder.encode(np.array([mean]), (options.seed << 32) + number) for number in range(n)]
    seconds = time.perf_counter() - begun
    return _summary(coder, sent, mean, theory, 1e3 * seconds / n)


def draws_by_theory(coder: Simulator) -> float:
    """Expected number of candidates of a message.

    w_max for the Poisson functional representation and for greedy rejection coding, whose mean is dominated by rare
    long searches; NaN for its split form, of which only the order is known.
    """
    if isinstance(coder, UniversalQuantization):
        return float(coder.n)
    if isinstance(coder, MinimalRandom | OrderedRandom):
        return float(coder.n_candidates)
    if isinstance(coder, SplitGreedyRejection):
        return math.nan
    return math.exp(log_max_ratio(np.array([mean_of_kl(coder.kl_bits)])))


def _summary(coder: Simulator, sent: list[Sent], mean: float, theory: float, ms: float) -> Row:
    stopped = sum(message.stopped for message in sent)
    draws = np.array([message.draws for message in sent], np.float64)
    known = np.nan if stopped else 1.0
    shifts = np.array([np.nan if message.sample is None else message.sample[0] - mean for message in sent])
    bits = np.array([len(message.bits) for message in sent], np.float64)
    ideal = np.array([message.ideal_bits for message in sent])
    columns = known * np.stack([bits, bits - coder.kl_bits, draws, shifts, ideal], axis=1)
    means, low, high = mean_intervals(columns)
    return Row(
        method=coder.name,
        source=coder.source,
        bias=coder.bias,
        kl_bits=coder.kl_bits,
        n=len(sent),
        stopped=stopped,
        max_draws=coder.max_draws,
        code_bits=means[0],
        code_bits_low=low[0],
        code_bits_high=high[0],
        ideal_bits=means[4],
        excess_bits=means[1],
        excess_bits_low=low[1],
        excess_bits_high=high[1],
        draws=means[2],
        draws_low=low[2],
        draws_high=high[2],
        draws_median=float(np.median(draws)) if 2 * stopped < len(sent) else np.nan,
        draws_by_theory=theory,
        draws_ratio=np.nan if isinstance(coder, GreedyRejection) else means[2] / theory,
        shift_sd=means[3],
        shift_sd_low=low[3],
        shift_sd_high=high[3],
        ms=ms,
    )
