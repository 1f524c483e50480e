# Rate-distortion curves, a strip of pictures along one progressive stream, and distortion against realism.


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
        report(
            f"{RESULTS}/{{run}}/plots/distortion_perception.png",
            caption="../report/distortion_perception.rst",
            category="Distortion and realism",
            labels={"run": "{run}"},
        ),
        f"{RESULTS}/{{run}}/plots/distortion_perception.svg",
    log:
        f"{RESULTS}/{{run}}/logs/plot.log",
    benchmark:
        f"{RESULTS}/{{run}}/benchmarks/plot.tsv"
    conda:
        "../envs/uqdm.yaml"
    params:
        run=subpath(input[0], parent=True),
    shell:
        "uqdm bench plot --run={params.run:q} > {log:q} 2>&1"
