"""The configuration of the workflow as typed objects, and the command lines that it becomes.

The workflow checks the file against ``workflow/schemas/config.schema.yaml``, then makes one :class:`Configuration` of
it, which the rules take their command lines from.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uqdm.bench.analysis.options import PUBLISHED_DEFAULT, PUBLISHED_HELP, ComparisonOptions
from uqdm.bench.analysis.published_systems import check_choice
from uqdm.bench.channel_cost.options import ChannelCostOptions
from uqdm.bench.contest.configuration import Contest
from uqdm.bench.datasets import spec_of
from uqdm.bench.evaluation.options import EvaluationOptions
from uqdm.bench.execute.limits import WorkerLimits
from uqdm.bench.grid.options import GridOptions
from uqdm.bench.paper.configuration import PUBLISHED_ON, PublishedFigures
from uqdm.bench.robustness.options import RobustnessOptions
from uqdm.bench.run.codec_settings import Request, format_request, requests_from_mapping
from uqdm.bench.run.environments import environments_of
from uqdm.bench.run.stage_options import metric_choice
from uqdm.bench.scoring.options import ScoringOptions
from uqdm.bench.scoring.selection import SetMetricBounds, bounds_of_run
from uqdm.codec import codec_class, codec_names
from uqdm.environments import MadeEnvironment
from uqdm.option_fields import arguments, check_bounds, errors_begin, from_section, has_options, option, option_fields
from uqdm.swirl.settings import Settings, settings_of

CONTEST = "contest"
"""Name of the run of the contest."""


def chosen_runs(merged: Any, own: Any) -> Any:
    """The section ``runs`` of a workflow whose shipped configuration is merged with files and options of the user.

    Snakemake merges mappings, so ``merged`` has the shipped runs too. Where the user's own section names runs, these
    alone are kept: each has the user's keys, ``codecs`` as a whole, and the keys of a shipped run of the same name that
    the user leaves out. Anything that is no mapping is left to the check of the configuration.

    >>> shipped = {"demo": {"dataset": "demo", "codecs": {"png": None}}}
    >>> photos = {"photos": {"dataset": "folder:photos", "codecs": {"jpeg": None}}}
    >>> list(chosen_runs({**shipped, **photos}, photos)), list(chosen_runs(shipped, None))
    (['photos'], ['demo'])
    >>> chosen_runs({"demo": {"dataset": "demo", "codecs": {"png": None}, "limit": 8}}, {"demo": {"limit": 8}})
    {'demo': {'dataset': 'demo', 'codecs': {'png': None}, 'limit': 8}}
    """
    if not isinstance(merged, Mapping) or not isinstance(own, Mapping) or not own:
        return merged
    return {name: {**merged[name], **run} if isinstance(run, Mapping) else run for name, run in own.items()}


@dataclass(frozen=True)
class RunOptions:
    """A data set and the codecs to compare on it."""

    dataset: str
    """As ``uqdm bench evaluate --dataset`` takes it, with its kind."""
    codecs: Mapping[str, Any]
    """For each codec, None for its default settings, a mapping of parameters, or a list of those."""
    limit: int | None = option(None, "Only the first N images", none="all", minimum=1)
    set_metrics: SetMetricBounds | None = None
    """Images and settings that set metrics are computed on; None for those of the section ``score``."""
    metrics: tuple[str, ...] | None = None
    """Metrics that are computed; None for those of the section ``score``."""

    def __post_init__(self) -> None:
        check_bounds(self)
        metric_choice(self.metrics)

    @classmethod
    def from_mapping(cls, name: str, run: Mapping[str, Any]) -> RunOptions:
        """A run of the section ``runs``. A bound that its ``set_metrics`` omits is None."""
        bounds = bounds_of_run(run.get("set_metrics"), f"runs: {name}")
        with errors_begin(f"runs: {name}"):
            metrics = None if run.get("metrics") is None else tuple(run["metrics"])
            return cls(spec_of(run["dataset"]), run["codecs"], run.get("limit"), bounds, metrics)

    def requests(self) -> list[Request]:
        """The codecs and settings to measure."""
        return requests_from_mapping(self.codecs)

    def codec_requests(self) -> list[str]:
        """The codecs as ``uqdm bench evaluate --codec`` takes them."""
        return [format_request(request) for request in self.requests()]

    def environments(self) -> list[MadeEnvironment]:
        """The environments that its codecs need made from files, each once."""
        return environments_of(self.requests())

    def set_metric_bounds(self, usual: SetMetricBounds) -> SetMetricBounds:
        """The bounds for set metrics: the run's own, else all images and settings of official sets, else the usual.

        The published FIDs are over all images at all settings; no FID on a part of them is comparable.

        >>> RunOptions("cifar10", {}).set_metric_bounds(SetMetricBounds()).images
        >>> RunOptions("cifar10", {}, limit=200).set_metric_bounds(SetMetricBounds(images=50)).images
        50
        """
        if self.set_metrics is not None:
            return self.set_metrics
        kind = self.dataset.partition(":")[0].partition("#")[0]
        whole = kind in PUBLISHED_ON and self.limit is None
        return dataclasses.replace(usual, images=None, settings=None) if whole else usual


@dataclass(frozen=True)
class ContestRun(RunOptions):
    """The run of the contest: those contestants that can take part, which is found out when it is asked for."""

    contest: Contest = field(default_factory=Contest)

    @classmethod
    def of(cls, contest: Contest) -> ContestRun:
        """With all images and settings for metrics of sets."""
        every = SetMetricBounds(images=None, settings=None)
        return cls(contest.dataset, {}, contest.limit, every, contest.metrics, contest)

    def requests(self) -> list[Request]:
        """See :meth:`RunOptions.requests`."""
        return self.contest.requests()


@dataclass(frozen=True)
class Configuration:
    """A section is a field. Those that are left out have the defaults of their classes."""

    runs: Mapping[str, RunOptions]
    results: Path = option(Path("results"), "Folder with a subfolder for each run", is_folder=True)
    limit: int | None = option(None, "Only the first N images of every run", none="each run's own limit", minimum=1)
    published: str | None = option(None, PUBLISHED_HELP, none=PUBLISHED_DEFAULT)
    evaluate: EvaluationOptions = field(default_factory=EvaluationOptions)
    workers: WorkerLimits = field(default_factory=WorkerLimits)
    score: ScoringOptions = field(default_factory=ScoringOptions)
    compare: ComparisonOptions = field(default_factory=ComparisonOptions)
    grid: GridOptions = field(default_factory=GridOptions)
    robustness: RobustnessOptions = field(default_factory=RobustnessOptions)
    channel_cost: ChannelCostOptions = field(default_factory=ChannelCostOptions)
    swirl: Settings = field(default_factory=Settings)
    contest: Contest = field(default_factory=Contest)
    paper: Mapping[str, PublishedFigures] = field(
        default_factory=lambda: {name: PublishedFigures(name) for name in PUBLISHED_ON}
    )

    def __post_init__(self) -> None:
        check_bounds(self)
        # Snakemake reads braces and angle brackets in names of files as wildcards.
        if set("{}<>") & set(str(self.results)):
            raise ValueError(f"results: {str(self.results)!r}: choose a folder without braces and angle brackets")

    @classmethod
    def from_mapping(cls, config: Mapping[str, Any]) -> Configuration:
        """The configuration of a file that meets the schema.

        Raises ValueError, which names the key, for a value of the wrong type or out of bounds, and what
        :func:`uqdm.bench.metrics.check_names` raises for an unknown metric.

        >>> runs = {"demo": {"dataset": "demo", "codecs": {"png": None}}}
        >>> Configuration.from_mapping({"runs": runs, "evaluate": {"shard_size": 9}}).evaluate.shard_size
        9
        """
        found: dict[str, Any] = {
            name: from_section(of, config.get(name, {}), name) for name, of in cls.sections().items()
        }
        found |= {one.name: one.read(config[one.name]) for one in option_fields(cls) if one.name in config}
        if "paper" in config:
            paper = config["paper"].items()
            found["paper"] = {name: PublishedFigures.from_mapping(one, f"paper: {name}") for name, one in paper}
        if "contest" in config:
            found["contest"] = Contest.from_mapping(config["contest"])
        runs = {name: RunOptions.from_mapping(name, run) for name, run in config["runs"].items()}
        return cls(runs, swirl=settings_of(config.get("swirl", {})), **found)

    @classmethod
    def sections(cls) -> dict[str, type]:
        """The sections that are dataclasses of options, by name."""
        return {name: of for name, of in typing.get_type_hints(cls).items() if has_options(of)}

    def all_runs(self) -> dict[str, RunOptions]:
        """The runs by name, those of the paper's figures and of the contest too, with the common limit if it is set."""
        paper = {
            f"paper_{name}": RunOptions(one.dataset, one.codecs(), one.limit, one.set_metrics)
            for name, one in self.paper.items()
        }
        runs = {**self.runs, **paper, CONTEST: ContestRun.of(self.contest)}
        if self.limit is None:
            return runs
        return {name: dataclasses.replace(run, limit=self.limit) for name, run in runs.items()}

    def evaluate_arguments(self, run: RunOptions) -> list[str]:
        """Options of ``uqdm bench evaluate`` for a run, except those of workers."""
        codecs = [f"--codec={request}" for request in run.codec_requests()]
        return [f"--dataset={run.dataset}", *codecs, *arguments(run), *arguments(self.evaluate)]

    def metric_arguments(self, run: RunOptions) -> list[str]:
        """Options of ``uqdm bench evaluate`` that name the metrics to compute during the evaluation of a run."""
        return [f"--metric={name}" for name in self._metrics(run) or ()]

    def _metrics(self, run: RunOptions) -> tuple[str, ...] | None:
        return self.score.metrics if run.metrics is None else run.metrics

    def worker_arguments(self) -> list[str]:
        """Options of workers, the same for ``uqdm bench evaluate`` and ``score``."""
        return arguments(self.workers)

    def score_arguments(self, run: RunOptions) -> list[str]:
        """Options of ``uqdm bench score`` for a run, except those of workers."""
        bounds = run.set_metric_bounds(self.score.set_metrics)
        return arguments(dataclasses.replace(self.score, metrics=self._metrics(run), set_metrics=bounds))

    def compare_arguments(self, run: RunOptions) -> list[str]:
        """Options of ``uqdm bench bd`` for a run; none if the run lacks the anchor: the command chooses another."""
        if self.compare.anchor not in codec_names():
            codec_class(self.compare.anchor)  # raises, with suggestions
        return [f"--anchor={self.compare.anchor}"] if self.compare.anchor in run.codecs else []

    def imported_files(self, name: str) -> list[str]:
        """The files of curves of others that are imported into a run; none for the runs of the paper's figures."""
        return [str(path) for path in self.compare.imported or ()] if name in self.runs else []

    def published_arguments(self) -> list[str]:
        """Options of ``uqdm bench plot`` and ``report`` that choose published curves.

        Raises LookupError for an unknown system.
        """
        check_choice(self.published)
        return [] if self.published is None else [f"--published={self.published}"]

    def paper_arguments(self, name: str) -> list[str]:
        """Options of ``uqdm bench paper`` for the published figures of that name."""
        return self.paper[name].arguments()

    def contest_arguments(self) -> list[str]:
        """Options of ``uqdm bench contest``."""
        return self.contest.arguments()

    def grid_arguments(self) -> list[str]:
        """Options of ``uqdm bench grid``."""
        return arguments(self.grid)

    def robustness_arguments(self) -> list[str]:
        """Options of ``uqdm bench robustness``."""
        return arguments(self.robustness)

    def channel_cost_arguments(self) -> list[str]:
        """Options of ``uqdm bench channel``."""
        return arguments(self.channel_cost)
