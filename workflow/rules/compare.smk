# Bjøntegaard deltas of every curve against one of them, by every metric, and of single images.


rule compare:
    input:
        f"{RESULTS}/{{run}}/summary.parquet",
    output:
        f"{RESULTS}/{{run}}/bd.csv",
        f"{RESULTS}/{{run}}/bd_per_image.csv",
    log:
        f"{RESULTS}/{{run}}/logs/compare.log",
    benchmark:
        f"{RESULTS}/{{run}}/benchmarks/compare.tsv"
    conda:
        "../envs/uqdm.yaml"
    params:
        run=subpath(input[0], parent=True),
        options=compare_options,
    shell:
        "uqdm bench bd --run={params.run:q} {params.options:q} > {log:q} 2>&1"
