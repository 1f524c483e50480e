# What the stages share: names of the products, and what a run's configuration means.

import functools
import shlex
import sys
from pathlib import Path

RESULTS = config["results"]
PRODUCTS = [
    "summary.parquet",
    "summary.csv",
    "bd.csv",
    "plots/rate_distortion.png",
    "plots/rate_distortion.svg",
    "plots/progressive.png",
    "plots/distortion_perception.png",
    "plots/distortion_perception.svg",
    "report.html",
]

# The commands of the environment that snakemake runs in, activated or not.
shell.prefix(f"PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")


def dataset_files(wildcards):
    """The file or folder that a run's data set is read from, if any; a change of it is a reason to evaluate again."""
    path = config["runs"][wildcards.run]["dataset"].partition(":")[2].partition("#")[0]
    return [path] if path else []


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


def score_options():
    """The command line options of scoring."""
    from uqdm.bench.metrics import check_names

    wanted = config["score"]
    check_names(wanted["metrics"] or [])
    bounds = wanted["set_metrics"]
    options = [f"--metric={name}" for name in wanted["metrics"] or []]
    options += [f"--set-images={bounds['images'] or 0}"]
    options += [f"--set-settings={bounds['settings'] or 0}"]
    options += [f"--features={wanted['features']}"] if wanted["features"] else []
    weights = wanted["inception_weights"]
    return options + ([f"--inception={weights}"] if weights else [])


def metric_identities():
    """Each metric with its version, or what it lacks here: a metric that is new or works now is a reason to score."""
    from uqdm.bench.metrics import all_metrics, all_set_metrics

    return [
        f"{one.name} {one.missing() or one.version}"
        for one in (*all_metrics(), *all_set_metrics())
    ]


def compare_options(run):
    """The command line options of a run's comparison; an anchor that the run does not have is left to the command."""
    from uqdm.codec import codec_class, codec_names

    anchor = config["compare"]["anchor"]
    if anchor not in codec_names():
        codec_class(anchor)  # raises, with suggestions
    return [f"--anchor={anchor}"] if anchor in config["runs"][run]["codecs"] else []


def print_closing(config):
    """Says where the products are, with a short table."""
    from uqdm.bench.tables import closing_message

    for run in config["runs"]:
        print(closing_message(Path(config["results"]) / run))
