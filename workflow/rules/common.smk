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

# The commands of the environment that snakemake runs in, activated or not.
shell.prefix(f"PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")


def run_files(wildcards):
    """The files and folders that a run's data set is read from; a change of one is a reason to evaluate again."""
    from uqdm.bench.datasets import dataset_files

    return [
        str(path) for path in dataset_files(config["runs"][wildcards.run]["dataset"])
    ]


def codec_requests(run):
    """The codecs of a run, as `uqdm bench evaluate --codec` takes them."""
    from uqdm.bench.requests import format_request, requests_from_mapping

    return [
        format_request(request)
        for request in requests_from_mapping(config["runs"][run]["codecs"])
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
        f"--dataset={config['runs'][run]['dataset']}",
    ]
    options += [f"--codec={request}" for request in codec_requests(run)]
    limit = config["runs"][run].get("limit")
    options += [] if limit is None else [f"--limit={limit}"]
    options += [] if config["evaluate"]["keep_streams"] else ["--no-streams"]
    return options + (["--retry-failed"] if config["evaluate"]["retry_failed"] else [])


def print_closing(config):
    """Says where the products are, with a short table."""
    from uqdm.bench.tables import closing_message

    for run in config["runs"]:
        print(closing_message(Path(config["results"]) / run))
