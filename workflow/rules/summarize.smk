# Means with intervals over the images of each setting.


rule summarize:
    input:
        f"{RESULTS}/{{run}}/scores.json",
        f"{RESULTS}/{{run}}/per_image",
    output:
        f"{RESULTS}/{{run}}/summary.parquet",
        f"{RESULTS}/{{run}}/summary.csv",
        f"{RESULTS}/{{run}}/summary_columns.csv",
    log:
        f"{RESULTS}/{{run}}/logs/summarize.log",
    benchmark:
        f"{RESULTS}/{{run}}/benchmarks/summarize.tsv"
    conda:
        "../envs/uqdm.yaml"
    params:
        run=subpath(input[0], parent=True),
    shell:
        "uqdm bench summarize --run={params.run:q} > {log:q} 2>&1"
