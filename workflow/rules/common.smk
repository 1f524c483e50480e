# What the stages share: names of the products, and what a run's configuration means.

import functools
import shlex
import sys
from pathlib import Path

RESULTS = config["results"]
PRODUCTS = [
    "summary.parquet",
    "summary.csv",
    "plots/rate_distortion.png",
    "plots/rate_distortion.svg",
    "plots/progressive.png",
    "report.html",
]


def all_runs():
    """The runs of the configuration by name, and those of the paper's figures; the common limit goes before their own."""
    from uqdm.bench.paper.configuration import paper_runs

    runs = {**config["runs"], **paper_runs(config["paper"])}
    limit = {} if config["limit"] is None else {"limit": config["limit"]}
    return {name: {**run, **limit} for name, run in runs.items()}


RUNS = all_runs()

# The commands of the environment that snakemake runs in, activated or not.
shell.prefix(f"PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")


def run_files(wildcards):
    """The files and folders that a run's data set is read from; a change of one is a reason to evaluate again."""
    from uqdm.bench.datasets import dataset_files

    return [str(path) for path in dataset_files(RUNS[wildcards.run]["dataset"])]


def codec_requests(run):
    """The codecs of a run, as `uqdm bench evaluate --codec` takes them."""
    from uqdm.bench.requests import format_request, requests_from_mapping

    return [
        format_request(request)
        for request in requests_from_mapping(RUNS[run]["codecs"])
    ]


@functools.cache
def codec_identities(run):
    """Each codec and setting of a run with its version, or why it cannot run: another version is a reason to run."""
    from uqdm.bench.requests import parse_request, resolve

    resolved = resolve(map(parse_request, codec_requests(run)))
    return [
        f"{one.name}:{one.setting} {one.missing or one.version}"
        for found in resolved.values()
        for one in found
    ]


def evaluate_options(run):
    """The command line options of a run's evaluation."""
    options = [
        f"--shard-size={config['evaluate']['shard_size']}",
        f"--dataset={RUNS[run]['dataset']}",
    ]
    options += [f"--codec={request}" for request in codec_requests(run)]
    limit = RUNS[run].get("limit")
    options += [] if limit is None else [f"--limit={limit}"]
    options += [] if config["evaluate"]["keep_streams"] else ["--no-streams"]
    return options + (["--retry-failed"] if config["evaluate"]["retry_failed"] else [])


def paper_options(wildcards):
    """The command line options that hold a run beside the paper's figures."""
    from uqdm.bench.paper.configuration import paper_options

    return paper_options(config["paper"][wildcards.paper])


def print_closing(config):
    """Says where the products are, with a short table, and how many of the paper's figures agree."""
    from uqdm.bench.paper.save import closing_line
    from uqdm.bench.tables import closing_message

    results = Path(config["results"])
    for run in config["runs"]:
        print(closing_message(results / run))
    for name in config["paper"]:
        print(closing_line(results / f"paper_{name}"), end="")
