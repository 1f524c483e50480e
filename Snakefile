# From data sets to a compared, plotted, stored benchmark: `snakemake --cores all`.
# Snakemake manages the files and their order; inside the rules `evaluate` and `score`, Ray manages the cores.

import copy
from pathlib import Path

from snakemake.logging import logger
from snakemake.utils import min_version
from uqdm.cli.packaged import configuration_file
from uqdm.cli.workflow import check_configuration, errors_on_one_line
from uqdm.cli.workflow_log import shorten
from uqdm.cli.workflow_stop import StopSignals
from uqdm.configuration import chosen_runs

min_version("9.0")

# A dry run and --verbose print everything, as the log file in .snakemake/log always does.
if not (workflow.output_settings.dryrun or workflow.output_settings.verbose):
    shorten(logger)
STOP_SIGNALS = StopSignals()

# So far there is only what --configfile and --config give. Snakemake merges it with the shipped configuration, whose runs
# are made only where none is named.
own_runs = copy.deepcopy(config.get("runs"))


configfile: str(configuration_file("config.yaml", Path(workflow.basedir)))
configfile: str(configuration_file("contest.yaml", Path(workflow.basedir)))


with errors_on_one_line("configuration: "):
    if own_runs:
        config["runs"] = chosen_runs(config["runs"], own_runs)
    check_configuration(
        config, workflow.source_path("workflow/schemas/config.schema.yaml")
    )


report: "workflow/report/workflow.rst"


wildcard_constraints:
    run="[^/]+",


include: "workflow/rules/common.smk"
include: "workflow/rules/environments.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/score.smk"
include: "workflow/rules/summarize.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/import.smk"
include: "workflow/rules/plot.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/grid.smk"
include: "workflow/rules/robustness.smk"
include: "workflow/rules/paper.smk"
include: "workflow/rules/channel.smk"
include: "workflow/rules/swirl.smk"
include: "workflow/rules/contest.smk"


rule all:
    default_target: True
    input:
        expand(
            "{results}/{run}/{product}",
            results=RESULTS,
            run=CONFIGURATION.runs,
            product=PRODUCTS,
        ),


onstart:
    STOP_SIGNALS.watch(logger)


onsuccess:
    print_closing()


onerror:
    STOP_SIGNALS.leave()
