# One self-contained page with the plots, tables and provenance of a run.


rule report:
    input:
        f"{RESULTS}/{{run}}/summary.parquet",
        f"{RESULTS}/{{run}}/plots/rate_distortion.svg",
        f"{RESULTS}/{{run}}/plots/progressive.png",
        f"{RESULTS}/{{run}}/plots/distortion_perception.svg",
    output:
        f"{RESULTS}/{{run}}/report.html",
    log:
        f"{RESULTS}/{{run}}/logs/report.log",
    benchmark:
        f"{RESULTS}/{{run}}/benchmarks/report.tsv"
    conda:
        "../envs/uqdm.yaml"
    params:
        run=subpath(input[0], parent=True),
    shell:
        "uqdm bench report --run {params.run:q} > {log:q} 2>&1"
