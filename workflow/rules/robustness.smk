# What the codecs of each run do with damaged files, and whether whole files decode to the same pictures in other processes:
# `snakemake --cores all robustness`. Reports that are made afterwards show it.


rule robustness:
    input:
        expand(
            "{results}/{run}/robustness.csv", results=RESULTS, run=CONFIGURATION.runs
        ),


rule measure_robustness:
    input:
        f"{RESULTS}/{{run}}/evaluation.json",
        environments=notes_of_run,
    output:
        f"{RESULTS}/{{run}}/robustness.csv",
        f"{RESULTS}/{{run}}/robustness.parquet",
    log:
        f"{RESULTS}/{{run}}/logs/robustness.log",
    benchmark:
        f"{RESULTS}/{{run}}/benchmarks/robustness.tsv"
    conda:
        "../envs/uqdm.yaml"
    threads: all_cores()
    params:
        run=subpath(input[0], parent=True),
        options=CONFIGURATION.robustness_arguments(),
    shell:
        "uqdm bench robustness {params.run:q} {params.options:q} > {log:q} 2>&1"
