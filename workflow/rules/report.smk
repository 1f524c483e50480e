# One page with the curves, tables, pictures and provenance of a run, and beside it a folder of the pictures that are too
# many for the page, empty if there are none. Pictures are decoded from the streams of the run, after the scoring has
# written the rows.


rule report:
    input:
        f"{RESULTS}/{{run}}/summary.parquet",
        f"{RESULTS}/{{run}}/scores.json",
        f"{RESULTS}/{{run}}/bd.csv",
        f"{RESULTS}/{{run}}/bd_per_image.csv",
        f"{RESULTS}/{{run}}/{PLOTS}",
        imported_folder,
        environments=notes_of_run,
    output:
        f"{RESULTS}/{{run}}/report.html",
        directory(f"{RESULTS}/{{run}}/report_pictures"),
    log:
        f"{RESULTS}/{{run}}/logs/report.log",
    benchmark:
        f"{RESULTS}/{{run}}/benchmarks/report.tsv"
    conda:
        "../envs/uqdm.yaml"
    params:
        run=subpath(input[0], parent=True),
        published=published_options,
    shell:
        "uqdm bench report --run={params.run:q} {params.published:q} > {log:q} 2>&1"
