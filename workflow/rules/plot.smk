# The plots of a run, those of uqdm/bench/plots and those of other packages.


rule plot:
    input:
        f"{RESULTS}/{{run}}/summary.parquet",
        imported_folder,
    output:
        plot_outputs(f"{RESULTS}/{{run}}/plots"),
    log:
        f"{RESULTS}/{{run}}/logs/plot.log",
    benchmark:
        f"{RESULTS}/{{run}}/benchmarks/plot.tsv"
    conda:
        "../envs/uqdm.yaml"
    params:
        run=subpath(input[0], parent=True),
        plots=plot_names(),
        published=published_options,
    shell:
        "uqdm bench plot --run={params.run:q} {params.published:q} > {log:q} 2>&1"
