# Shared by the stages: names of the products, and options from the configuration of a run.

import functools
import hashlib
import shlex
import sys
from pathlib import Path


def results_folder():
    """The folder of results. Its path may contain any character except { } < >, which Snakemake cannot quote."""
    from snakemake.exceptions import WorkflowError
    from uqdm.paths import expand_path

    folder = str(expand_path(config["results"], "results"))
    if set("{}<>") & set(folder):
        raise WorkflowError(
            f"results: {folder!r}: Snakemake reads braces and angle brackets as placeholders; choose a folder without them"
        )
    return folder


RESULTS = results_folder()


def plot_files():
    """The files of every plot, of this package and of others, within the folder of a run."""
    from uqdm.bench.plots import all_plots

    return [
        f"plots/{plot.name}.{suffix}" for plot in all_plots() for suffix in plot.formats
    ]


PLOT_FILES = plot_files()
PRODUCTS = ["summary.parquet", "summary.csv", "bd.csv", *PLOT_FILES, "report.html"]


def all_runs():
    """The runs of the configuration by name, and those of the paper's figures; the common limit overrides their own."""
    from uqdm.bench.paper.configuration import paper_runs

    runs = {**config["runs"], **paper_runs(config["paper"])}
    limit = {} if config["limit"] is None else {"limit": config["limit"]}
    return {name: {**run, **limit} for name, run in runs.items()}


RUNS = all_runs()


def check_metrics():
    """Raises an error with suggestions if the configuration names an unknown metric."""
    from uqdm.bench.metrics import check_names

    check_names(config["score"]["metrics"] or [])


check_metrics()


def all_cores():
    """The cores that Snakemake was given. With an executor that runs jobs elsewhere none are given here, and a profile
    sets the cores of a job (set-threads)."""
    from snakemake.exceptions import WorkflowError

    try:
        return workflow.cores
    except WorkflowError:
        return 1


# The commands of the environment that snakemake runs in, activated or not.
shell.prefix(f"PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")


@functools.cache
def note_images(run):
    """The file that records the images of a run. When they change it is rewritten, and is newer than the results.

    Images are not declared as inputs, since Snakemake compares only the times of files and folders.
    """
    from uqdm.bench.datasets import write_digest

    folder = Path(
        ".snakemake", "uqdm", hashlib.sha256(RESULTS.encode()).hexdigest()[:8]
    )
    return str(write_digest(RUNS[run]["dataset"], RUNS[run].get("limit"), folder / run))


def images_note(wildcards):
    """The input of the evaluation of a run."""
    return note_images(wildcards.run)


def codec_requests(run):
    """The codecs of a run, as arguments of `uqdm bench evaluate --codec`."""
    from uqdm.bench.run.codec_settings import format_request, requests_from_mapping

    return [
        format_request(request)
        for request in requests_from_mapping(RUNS[run]["codecs"])
    ]


@functools.cache
def codec_identities(run):
    """Each codec and setting of a run with its version, or the reason why it cannot run. A change triggers the rule."""
    from uqdm.bench.run.codec_settings import parse_request, resolve

    resolved = resolve(map(parse_request, codec_requests(run)))
    return [
        f"{one.name}:{one.setting} {one.missing or one.version}"
        for found in resolved.values()
        for one in found
    ]


def worker_options():
    """The command line options for the resources of workers, the same for evaluation and scoring."""
    wanted = config["workers"]
    options = [f"--time-limit={wanted['time_limit_s'] or 0}"]
    names = ("gpus_per_actor", "cpus_per_actor", "readers")
    return options + [f"--{name.replace('_', '-')}={wanted[name]}" for name in names]


# The metrics that a run asks for. They are computed while the pictures are there, but are no parameter of that rule: a
# metric that is added later is computed by scoring, from the stored streams.
METRIC_OPTIONS = [f"--metric={name}" for name in config["score"]["metrics"] or []]


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
    options += (
        ["--reconstructions"] if config["evaluate"]["keep_reconstructions"] else []
    )
    return options + (["--retry-failed"] if config["evaluate"]["retry_failed"] else [])


def score_options(run):
    """The command line options of a run's scoring."""
    from uqdm.bench.paper.configuration import set_metrics_bounds

    wanted = config["score"]
    bounds = set_metrics_bounds(RUNS[run], wanted["set_metrics"])
    options = list(METRIC_OPTIONS)
    options += [f"--set-images={bounds['images'] or 0}"]
    options += [f"--set-settings={bounds['settings'] or 0}"]
    options += [f"--features={wanted['features']}"] if wanted["features"] else []
    weights = wanted["inception_weights"]
    return options + ([f"--inception={weights}"] if weights else [])


def metric_identities():
    """Each metric with its version, or what is missing for it here. A change triggers the scoring."""
    from uqdm.bench.metrics import all_metrics, all_set_metrics

    return [
        f"{one.name} {one.missing() or one.version}"
        for one in (*all_metrics(), *all_set_metrics())
    ]


def plot_outputs(folder):
    """The files of every plot in a folder of plots; the first format of each goes into Snakemake's report."""
    from uqdm.bench.plots import all_plots

    outputs = []
    for plot in all_plots():
        first, *further = [f"{folder}/{plot.name}.{suffix}" for suffix in plot.formats]
        shown = {"category": plot.title, "labels": {"run": "{run}"}}
        outputs += [report(first, caption=plot_caption(plot), **shown), *further]
    return outputs


def plot_caption(plot):
    """The file that Snakemake's report takes the caption of a plot from, written anew where its text changed."""
    from uqdm.files import write_bytes

    file = Path(".snakemake", "uqdm", "captions", f"{plot.name}.rst").absolute()
    text = f"{plot.about}\n".encode()
    if not file.is_file() or file.read_bytes() != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(file, text)
    return str(file)


def compare_options(run):
    """The command line options of a run's comparison. If the run lacks the anchor, the command chooses one."""
    from uqdm.codec import codec_class, codec_names

    anchor = config["compare"]["anchor"]
    if anchor not in codec_names():
        codec_class(anchor)  # raises, with suggestions
    return [f"--anchor={anchor}"] if anchor in RUNS[run]["codecs"] else []


def paper_options(wildcards):
    """The command line options that compare a run with the paper's figures."""
    from uqdm.bench.paper.configuration import paper_options

    return paper_options(config["paper"][wildcards.paper])


def channel_cost_options():
    """The command line options of the measurement of channel simulation."""
    wanted = config["channel_cost"]
    options = [f"--kl-bits={bits}" for bits in wanted["kl_bits"]]
    names = ("repetitions", "max_draws", "draws", "seed")
    return options + [f"--{name.replace('_', '-')}={wanted[name]}" for name in names]


def swirl_settings():
    """The settings in the section `swirl`."""
    from uqdm.swirl.settings import settings_of

    return settings_of(config["swirl"])


def swirl_trainings(settings):
    """The command line options of the training jobs of a seed, by the kind of models."""
    from uqdm.swirl.settings import training_options

    return training_options(settings)


def swirl_measure_options(settings):
    """The command line options that measure the models of a seed."""
    from uqdm.swirl.settings import measure_options

    return measure_options(settings)


def print_closing(config):
    """Prints the paths of the products with a short table, and how many of the paper's figures agree."""
    from uqdm.bench.paper.save import closing_line
    from uqdm.bench.analysis.short_table import closing_message
    from uqdm.cli.terminal import showable

    results = Path(RESULTS)
    for run in config["runs"]:
        print(showable(closing_message(results / run)))
    for name in config["paper"]:
        print(showable(closing_line(results / f"paper_{name}")), end="")
