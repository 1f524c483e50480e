# What the rules share: the configuration as typed objects, the runs, and the names of their products.

import functools
import hashlib
import shlex
import sys
from pathlib import Path

from uqdm.bench.run import layout
from uqdm.cli.workflow import errors_on_one_line, key_of_run, named_run
from uqdm.configuration import Configuration

with errors_on_one_line("configuration: "):
    CONFIGURATION = Configuration.from_mapping(config)
    RUNS = CONFIGURATION.all_runs()
RESULTS = str(CONFIGURATION.results)


PLOTS = str(layout.plots_dir(Path()))
PRODUCTS = [
    layout.summary_path(Path()),
    layout.summary_path(Path(), ".csv"),
    layout.summary_columns_path(Path()),
    layout.bd_path(Path()),
    layout.bd_of_images_path(Path()),
    PLOTS,
    layout.report_path(Path()),
]


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


def notes_folder():
    """The folder of files that record what rules depend on besides their inputs."""
    digest = hashlib.sha256(RESULTS.encode()).hexdigest()[:8]
    return Path(".snakemake", "uqdm", digest)


@functools.cache
def note_images(run):
    """The file that records the images of a run. When they change it is rewritten, and is newer than the results.

    Images are not declared as inputs, since Snakemake compares only the times of files and folders.
    """
    from uqdm.bench.datasets import write_digest

    with errors_on_one_line(f"configuration: {key_of_run(run)}"):
        options = named_run(RUNS, run)
        return str(write_digest(options.dataset, options.limit, notes_folder() / run))


def images_note(wildcards):
    """The input of the evaluation of a run."""
    return note_images(wildcards.run)


@functools.cache
def environments_of_run(run):
    """The environments that codecs of a run need made from files, by the name of their note."""
    with errors_on_one_line(f"configuration: {key_of_run(run)}"):
        found = named_run(RUNS, run).environments()
    return {one.short_name: one for one in found}


def environment_note(name):
    return f"{RESULTS}/environments/{name}.json"


def environment_notes(run):
    """The notes of the environments of a run. Rules that start its codecs wait for them."""
    return [environment_note(name) for name in environments_of_run(run)]


def notes_of_run(wildcards):
    return environment_notes(wildcards.run)


def notes_of_paper(wildcards):
    return environment_notes(f"paper_{wildcards.paper}")


def notes_of_contest(wildcards):
    return environment_notes("contest")


def notes_of_runs(wildcards):
    """The notes of all runs of the section `runs`."""
    found = (note for run in CONFIGURATION.runs for note in environment_notes(run))
    return list(dict.fromkeys(found))


def environment_file(wildcards):
    """The file that an environment is made from."""
    name = wildcards.environment
    known = (environments_of_run(run) for run in RUNS)
    found = next((one[name] for one in known if name in one), None)
    with errors_on_one_line("configuration: "):
        if found is None:
            raise LookupError(f"no codec of a run needs the environment {name!r}")
    return str(found.file)


def environment_state(wildcards):
    """A file that is written anew when an environment that was made is not there any more."""
    from uqdm.environments.note import refresh_state

    name = wildcards.environment
    state = notes_folder() / "environments" / name
    refresh_state(Path(environment_note(name)), state)
    return str(state)


def evaluate_options(wildcards):
    """The options of the evaluation of a run, and those of the other stages of a run below."""
    with errors_on_one_line(f"configuration: {key_of_run(wildcards.run)}"):
        return CONFIGURATION.evaluate_arguments(named_run(RUNS, wildcards.run))


def metric_options(wildcards):
    """Metrics are computed during evaluation, but are not a parameter of that rule, since a change of a parameter triggers
    it: a metric that is added later is computed by scoring, from the stored streams. They are passed as a resource instead.
    """
    with errors_on_one_line(f"configuration: {key_of_run(wildcards.run)}"):
        return " ".join(CONFIGURATION.metric_arguments(named_run(RUNS, wildcards.run)))


def contest_options(wildcards):
    """The options of the page of the contest. Whoever cannot take part is found out, which takes seconds."""
    with errors_on_one_line("configuration: contest: "):
        return CONFIGURATION.contest_arguments()


def score_options(wildcards):
    with errors_on_one_line(f"configuration: {key_of_run(wildcards.run)}"):
        return CONFIGURATION.score_arguments(named_run(RUNS, wildcards.run))


def compare_options(wildcards):
    with errors_on_one_line("configuration: compare: "):
        return CONFIGURATION.compare_arguments(named_run(RUNS, wildcards.run))


def imported_files(wildcards):
    """The files of curves of others for a run."""
    return CONFIGURATION.imported_files(wildcards.run)


def imported_folder(wildcards):
    """The folder of the imported curves of a run, if the configuration names any."""
    return [f"{RESULTS}/{wildcards.run}/imported"] if imported_files(wildcards) else []


def published_options(wildcards):
    with errors_on_one_line("configuration: published: "):
        return CONFIGURATION.published_arguments()


def paper_options(wildcards):
    with errors_on_one_line(f"configuration: paper: {wildcards.paper}: "):
        return CONFIGURATION.paper_arguments(wildcards.paper)


@functools.cache
def codec_identities(run):
    """Each codec and setting of a run with its version, or the reason why it cannot run. A change triggers the rule."""
    from uqdm.bench.run.codec_settings import parse_request, resolve
    from uqdm.bench.run.environments import identity_of_setting

    with errors_on_one_line(f"configuration: {key_of_run(run)}"):
        resolved = resolve(map(parse_request, named_run(RUNS, run).codec_requests()))
        return [
            identity_of_setting(one) for found in resolved.values() for one in found
        ]


def metric_identities():
    """Each metric with its version, or what is missing for it here. A change triggers the scoring."""
    from uqdm.bench.metrics import all_metrics, all_set_metrics

    return [
        f"{one.name} {one.missing() or one.version}"
        for one in (*all_metrics(), *all_set_metrics())
    ]


def plot_outputs(folder):
    """The folder of plots. Its files are those plots that the run has something to draw for, so they are not declared.

    In Snakemake's report each plot is shown under its title.
    """
    from uqdm.bench.plots import all_plots

    titles = {plot.name: plot.title for plot in all_plots()}
    return report(
        directory(folder),
        patterns=["{plot}.png"],
        caption=plot_captions(),
        category=lambda wildcards: titles.get(wildcards.plot, wildcards.plot),
        labels={"run": "{run}"},
    )


def plot_names():
    """The names of all plots. A new one triggers the rule."""
    from uqdm.bench.plots import all_plots

    return [plot.name for plot in all_plots()]


def plot_captions():
    """The file that Snakemake's report takes the caption of each plot from, written anew where a text changed."""
    from uqdm.bench.plots import all_plots
    from uqdm.files import write_bytes

    file = Path(".snakemake", "uqdm", "captions", "plots.rst").absolute()
    abouts = {plot.name: plot.about for plot in all_plots()}
    text = f"{{{{ {abouts!r}.get(snakemake.wildcards.plot, '') }}}}\n".encode()
    if not file.is_file() or file.read_bytes() != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(file, text)
    return str(file)


@errors_on_one_line("configuration: swirl: ")
def swirl_trainings(settings):
    """The command line options of the training jobs of a seed, by the kind of models."""
    from uqdm.swirl.settings import training_options

    return training_options(settings)


@errors_on_one_line("configuration: swirl: ")
def swirl_measure_options(settings):
    """The command line options that measure the models of a seed."""
    from uqdm.swirl.settings import measure_options

    return measure_options(settings)


def print_closing():
    """Prints the paths of the products with a short table, and how many of the paper's figures agree."""
    from uqdm.bench.paper.save import closing_line
    from uqdm.bench.analysis.short_table import closing_message
    from uqdm.cli.terminal import showable

    results = Path(RESULTS)
    for run in CONFIGURATION.runs:
        print(showable(closing_message(results / run)))
    for name in CONFIGURATION.paper:
        print(showable(closing_line(results / f"paper_{name}")), end="")
    contest = layout.contest_path(results / "contest")
    if contest.is_file():
        print(f"contest  {showable(str(contest))}")
