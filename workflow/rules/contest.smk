# Diffusion codecs held against each other on the same images: `snakemake --cores all contest`. It is a run like any other,
# of the contestants that config/contest.yaml names, and a page. Whoever cannot take part is on the page with the reason.

CONTEST = f"{RESULTS}/contest"


rule contest:
    input:
        f"{CONTEST}/contest.html",
        f"{CONTEST}/report.html",


rule contest_page:
    input:
        f"{CONTEST}/summary.parquet",
        environments=notes_of_contest,
    output:
        report(
            f"{CONTEST}/contest.html",
            caption="../report/contest.rst",
            category="Contest",
        ),
    log:
        f"{CONTEST}/logs/contest.log",
    benchmark:
        f"{CONTEST}/benchmarks/contest.tsv"
    conda:
        "../envs/uqdm.yaml"
    params:
        run=subpath(input[0], parent=True),
        options=contest_options,
    shell:
        "uqdm bench contest {params.run:q} {params.options:q} > {log:q} 2>&1"
