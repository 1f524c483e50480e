# Rate-distortion curves, and a strip of pictures along one progressive stream.


rule plot:
    input:
        f"{RESULTS}/{{run}}/summary.parquet",
    output:
        report(
            f"{RESULTS}/{{run}}/plots/rate_distortion.png",
            caption="../report/rate_distortion.rst",
            category="Rate and distortion",
            labels={"run": "{run}"},
        ),
        f"{RESULTS}/{{run}}/plots/rate_distortion.svg",
        report(
            f"{RESULTS}/{{run}}/plots/progressive.png",
            caption="../report/progressive.rst",
            category="Progressive decoding",
            labels={"run": "{run}"},
        ),
    log:
        f"{RESULTS}/{{run}}/logs/plot.log",
    benchmark:
        f"{RESULTS}/{{run}}/benchmarks/plot.tsv"
    conda:
        "../envs/uqdm.yaml"
    params:
        run=subpath(input[0], parent=True),
    shell:
        "uqdm bench plot --run {params.run:q} > {log:q} 2>&1"
