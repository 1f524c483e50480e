# Pictures of codecs beside the original at equal rates, decoded from the streams of each run.


rule grid:
    input:
        expand(
            "{results}/{run}/grid/grid.{suffix}",
            results=RESULTS,
            run=CONFIGURATION.runs,
            suffix=("png", "pdf", "html"),
        ),


rule pictures_at_equal_rates:
    input:
        f"{RESULTS}/{{run}}/summary.parquet",
        environments=notes_of_run,
    output:
        report(
            f"{RESULTS}/{{run}}/grid/grid.png",
            caption="../report/grid.rst",
            category="Pictures at equal rates",
            labels={"run": "{run}"},
        ),
        f"{RESULTS}/{{run}}/grid/grid.pdf",
        f"{RESULTS}/{{run}}/grid/grid.html",
    log:
        f"{RESULTS}/{{run}}/logs/grid.log",
    benchmark:
        f"{RESULTS}/{{run}}/benchmarks/grid.tsv"
    conda:
        "../envs/uqdm.yaml"
    params:
        run=subpath(input[0], parent=True),
        options=CONFIGURATION.grid_arguments(),
    shell:
        "uqdm bench grid {params.run:q} {params.options:q} > {log:q} 2>&1"
