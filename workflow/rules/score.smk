# Metrics of sets, and those of single images that evaluation left, on Ray. Only missing metrics are computed, from the
# stored streams; nothing is encoded again.


rule score:
    input:
        f"{RESULTS}/{{run}}/evaluation.json",
        f"{RESULTS}/{{run}}/per_image",
        environments=notes_of_run,
    output:
        f"{RESULTS}/{{run}}/scores.json",
    log:
        f"{RESULTS}/{{run}}/logs/score.log",
    benchmark:
        f"{RESULTS}/{{run}}/benchmarks/score.tsv"
    conda:
        "../envs/uqdm.yaml"
    threads: all_cores()
    params:
        run=subpath(input[0], parent=True),
        options=score_options,
        metrics=metric_identities(),
        workers=CONFIGURATION.worker_arguments(),
    shell:
        "uqdm bench score --run={params.run:q} --cpus {threads} --wait --log={log:q} {params.workers:q} {params.options:q}"
