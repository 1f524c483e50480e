# Measures every codec of a run on Ray. One job for each run: starting Ray costs seconds, and an added codec costs only
# its own shards. Rows are written anew from stored shards within seconds. The stores (shards, streams, scores) are not
# declared as outputs, since Snakemake removes the outputs of a job that is killed.
# The job waits for the folder: if Snakemake alone was killed, its evaluation continues, and its results are used.


rule evaluate:
    input:
        images_note,
        environments=notes_of_run,
    output:
        f"{RESULTS}/{{run}}/evaluation.json",
        directory(f"{RESULTS}/{{run}}/per_image"),
    log:
        f"{RESULTS}/{{run}}/logs/evaluate.log",
    benchmark:
        f"{RESULTS}/{{run}}/benchmarks/evaluate.tsv"
    conda:
        "../envs/uqdm.yaml"
    threads: all_cores()
    resources:
        metrics=metric_options,
    params:
        out=subpath(output[0], parent=True),
        options=evaluate_options,
        identities=lambda wildcards: codec_identities(wildcards.run),
        workers=CONFIGURATION.worker_arguments(),
    shell:
        "uqdm bench evaluate --out={params.out:q} --cpus {threads} --prune --wait --log={log:q} {params.workers:q} {params.options:q} {resources.metrics}"
