# The swirl experiments of the paper: `snakemake --cores all paper_swirl`. Small jobs of one thread each. The folders of
# models are not declared as outputs, since Snakemake removes outputs of a killed job, and trained models must be kept.

SWIRL = f"{RESULTS}/paper_swirl"
SWIRL_SETTINGS = CONFIGURATION.swirl
SWIRL_TRAININGS = swirl_trainings(SWIRL_SETTINGS)
SWIRL_FIGURES = ["figure2", "figure6", "figure7", "reconstructions"]


rule swirl_train:
    output:
        f"{SWIRL}/models/{{kind}}-seed{{seed}}.json",
    log:
        f"{SWIRL}/logs/train-{{kind}}-seed{{seed}}.log",
    benchmark:
        f"{SWIRL}/benchmarks/train-{{kind}}-seed{{seed}}.tsv"
    wildcard_constraints:
        kind="|".join(SWIRL_TRAININGS),
        seed="[0-9]+",
    conda:
        "../envs/uqdm.yaml"
    threads: 1
    params:
        models=subpath(output[0], parent=True),
        options=lambda wildcards: SWIRL_TRAININGS[wildcards.kind],
    shell:
        "uqdm swirl train --kind {wildcards.kind} --seed {wildcards.seed} {params.options} "
        "--models={params.models:q} --out={output:q} > {log:q} 2>&1"


rule swirl_measure:
    input:
        [f"{SWIRL}/models/{kind}-seed{{seed}}.json" for kind in SWIRL_TRAININGS],
    output:
        f"{SWIRL}/measured/seed{{seed}}.json",
    log:
        f"{SWIRL}/logs/measure-seed{{seed}}.log",
    benchmark:
        f"{SWIRL}/benchmarks/measure-seed{{seed}}.tsv"
    wildcard_constraints:
        seed="[0-9]+",
    conda:
        "../envs/uqdm.yaml"
    threads: 1
    params:
        models=subpath(input[0], parent=True),
        out=subpath(output[0], parent=True),
        options=swirl_measure_options(SWIRL_SETTINGS),
    shell:
        "uqdm swirl measure --seed {wildcards.seed} {params.options} "
        "--models={params.models:q} --out={params.out:q} > {log:q} 2>&1"


rule swirl_report:
    input:
        expand(f"{SWIRL}/measured/seed{{seed}}.json", seed=SWIRL_SETTINGS.seeds),
    output:
        multiext(f"{SWIRL}/table", ".csv", ".tex"),
        report(
            f"{SWIRL}/table.md",
            caption="../report/swirl.rst",
            category="The paper's figures",
            labels={"data set": "swirl", "product": "table and verdicts"},
        ),
        expand(f"{SWIRL}/figures/{{figure}}.svg", figure=SWIRL_FIGURES),
        report(
            expand(f"{SWIRL}/figures/{{figure}}.png", figure=SWIRL_FIGURES),
            caption="../report/swirl.rst",
            category="The paper's figures",
            labels={"data set": "swirl", "product": "figures"},
        ),
    log:
        f"{SWIRL}/logs/report.log",
    benchmark:
        f"{SWIRL}/benchmarks/report.tsv"
    conda:
        "../envs/uqdm.yaml"
    threads: 1
    params:
        out=subpath(output[0], parent=True),
        seeds=" ".join(f"--seed {seed}" for seed in SWIRL_SETTINGS.seeds),
    shell:
        "uqdm swirl report --out={params.out:q} {params.seeds} > {log:q} 2>&1"


rule paper_swirl:
    input:
        multiext(f"{SWIRL}/table", ".csv", ".md", ".tex"),
        expand(
            f"{SWIRL}/figures/{{figure}}.{{kind}}",
            figure=SWIRL_FIGURES,
            kind=["png", "svg"],
        ),
