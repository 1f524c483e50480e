# What the stages share: names of the products, and what a run's configuration means.

import functools
import hashlib
import shlex
import sys
from pathlib import Path


def results_folder():
    """The folder of results as Snakemake can name it; any character may be in it but { } < >."""
    from snakemake.exceptions import WorkflowError
    from uqdm.paths import expand_path

    folder = str(expand_path(config["results"], "results"))
    if set("{}<>") & set(folder):
        raise WorkflowError(
            f"results: {folder!r}: Snakemake reads braces and angle brackets as places to fill; choose a folder without them"
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
    """The runs of the configuration by name, and those of the paper's figures; the common limit goes before their own."""
    from uqdm.bench.paper.configuration import paper_runs

    runs = {**config["runs"], **paper_runs(config["paper"])}
    limit = {} if config["limit"] is None else {"limit": config["limit"]}
    return {name: {**run, **limit} for name, run in runs.items()}


RUNS = all_runs()


def check_metrics():
    """Raises, with suggestions, where the configuration asks for a metric that there is not."""
    from uqdm.bench.metrics import check_names

    check_names(config["score"]["metrics"] or [])


check_metrics()


def all_cores():
    """The cores that Snakemake was given. Where an executor has jobs run elsewhere none are given here, and a profile
    says how many a job gets (set-threads)."""
    from snakemake.exceptions import WorkflowError

    try:
        return workflow.cores
    except WorkflowError:
        return 1


# The commands of the environment that snakemake runs in, activated or not.
shell.prefix(f"PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")


@functools.cache
def note_images(run):
    """The file that notes which images a run is of: written anew, and newer than the results, when they change.

    Images are no inputs themselves, since Snakemake looks at the times of files and folders, and no deeper.
    """
    from uqdm.bench.datasets import write_digest

    folder = Path(
        ".snakemake", "uqdm", hashlib.sha256(RESULTS.encode()).hexdigest()[:8]
    )
    return str(write_digest(RUNS[run]["dataset"], RUNS[run].get("limit"), folder / run))


def images_note(wildcards):
    """What the evaluation of a run is made from."""
    return note_images(wildcards.run)


def codec_requests(run):
    """The codecs of a run, as `uqdm bench evaluate --codec` takes them."""
    from uqdm.bench.run.codec_settings import format_request, requests_from_mapping

    return [
        format_request(request)
        for request in requests_from_mapping(RUNS[run]["codecs"])
    ]


@functools.cache
def codec_identities(run):
    """Each codec and setting of a run with its version, or why it cannot run: another version is a reason to run."""
    from uqdm.bench.run.codec_settings import parse_request, resolve

    resolved = resolve(map(parse_request, codec_requests(run)))
    return [
        f"{one.name}:{one.setting} {one.missing or one.version}"
        for found in resolved.values()
        for one in found
    ]


def worker_options():
    """The command line options of what workers are given, of evaluation and scoring alike."""
    wanted = config["workers"]
    options = [f"--time-limit={wanted['time_limit_s'] or 0}"]
    names = ("gpus_per_actor", "cpus_per_actor", "readers")
    return options + [f"--{name.replace('_', '-')}={wanted[name]}" for name in names]


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
    """The command line options of a run's comparison; an anchor that the run does not have is left to the command."""
    from uqdm.codec import codec_class, codec_names

    anchor = config["compare"]["anchor"]
    if anchor not in codec_names():
        codec_class(anchor)  # raises, with suggestions
    return [f"--anchor={anchor}"] if anchor in RUNS[run]["codecs"] else []


def paper_options(wildcards):
    """The command line options that hold a run beside the paper's figures."""
    from uqdm.bench.paper.configuration import paper_options

    return paper_options(config["paper"][wildcards.paper])


def channel_cost_options():
    """The command line options of the measurement of channel simulation."""
    wanted = config["channel_cost"]
    options = [f"--kl-bits={bits}" for bits in wanted["kl_bits"]]
    names = ("repetitions", "max_draws", "draws", "seed")
    return options + [f"--{name.replace('_', '-')}={wanted[name]}" for name in names]


def swirl_settings():
    """What the section `swirl` asks for."""
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
    """Says where the products are, with a short table, and how many of the paper's figures agree."""
    from uqdm.bench.paper.save import closing_line
    from uqdm.bench.analysis.short_table import closing_message
    from uqdm.cli.terminal import showable

    results = Path(RESULTS)
    for run in config["runs"]:
        print(showable(closing_message(results / run)))
    for name in config["paper"]:
        print(showable(closing_line(results / f"paper_{name}")), end="")
