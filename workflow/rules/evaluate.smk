# Notes which images a run is of, in a file whose name changes with their content: the images themselves are no declared
# inputs, since of a folder Snakemake sees times only, and of no file more than that. Of other images no note stays, so
# that images which were changed and changed back are evaluated again, too.


localrules:
    images,


rule images:
    output:
        f"{RESULTS}/{{run}}/images/{{digest}}.txt",
    log:
        f"{RESULTS}/{{run}}/logs/images-{{digest}}.log",
    benchmark:
        f"{RESULTS}/{{run}}/benchmarks/images-{{digest}}.tsv"
    wildcard_constraints:
        digest="[0-9a-f]{16}",
    conda:
        "../envs/uqdm.yaml"
    params:
        folder=subpath(output[0], parent=True),
        dataset=lambda wildcards: RUNS[wildcards.run]["dataset"],
    shell:
        "(rm -f {params.folder:q}/*.txt && printf '%s\\n' {params.dataset:q} > {output:q}) 2> {log:q}"


# Measures every codec of a run on Ray. One job a run: starting Ray costs seconds, and a codec that is added costs only
# its own shards. The shards themselves are no declared outputs, since Snakemake removes those of a job that is killed.
# It waits: where Snakemake alone was killed, its evaluation lives on, and what that measures is used.


rule evaluate:
    input:
        images_file,
    output:
        f"{RESULTS}/{{run}}/evaluation.json",
    log:
        f"{RESULTS}/{{run}}/logs/evaluate.log",
    benchmark:
        f"{RESULTS}/{{run}}/benchmarks/evaluate.tsv"
    conda:
        "../envs/uqdm.yaml"
    threads: all_cores()
    params:
        out=subpath(output[0], parent=True),
        options=lambda wildcards: evaluate_options(wildcards.run),
        identities=lambda wildcards: codec_identities(wildcards.run),
        workers=worker_options(),
    shell:
        "uqdm bench evaluate --out {params.out:q} --cpus {threads} --prune --wait --log {log:q} {params.workers:q} {params.options:q}"
