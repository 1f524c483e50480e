# The paper's figures: its rows are measured like any run, and compared with the published ones, with a verdict for each.

PAPER_PRODUCTS = ["table.csv", "table.md", "table.tex", "costs.csv"]
PAPER_PRODUCTS += ["figures/rate_distortion.png", "figures/rate_fid.png"]
PAPER_PRODUCTS += ["figures/progressive.png"]


rule paper:
    input:
        f"{RESULTS}/paper_{{paper}}/summary.parquet",
        environments=notes_of_paper,
    output:
        multiext(f"{RESULTS}/paper_{{paper}}/table", ".csv", ".tex"),
        f"{RESULTS}/paper_{{paper}}/costs.csv",
        report(
            f"{RESULTS}/paper_{{paper}}/table.md",
            caption="../report/paper.rst",
            category="The paper's figures",
            labels={"data set": "{paper}", "product": "table"},
        ),
        report(
            f"{RESULTS}/paper_{{paper}}/figures/rate_distortion.png",
            caption="../report/paper.rst",
            category="The paper's figures",
            labels={"data set": "{paper}", "product": "rate and distortion"},
        ),
        report(
            f"{RESULTS}/paper_{{paper}}/figures/rate_fid.png",
            caption="../report/paper.rst",
            category="The paper's figures",
            labels={"data set": "{paper}", "product": "rate and FID"},
        ),
        report(
            f"{RESULTS}/paper_{{paper}}/figures/progressive.png",
            caption="../report/paper.rst",
            category="The paper's figures",
            labels={"data set": "{paper}", "product": "pictures step by step"},
        ),
        multiext(
            f"{RESULTS}/paper_{{paper}}/figures/",
            "rate_distortion.svg",
            "rate_fid.svg",
        ),
    log:
        f"{RESULTS}/paper_{{paper}}/logs/paper.log",
    benchmark:
        f"{RESULTS}/paper_{{paper}}/benchmarks/paper.tsv"
    wildcard_constraints:
        paper="|".join(CONFIGURATION.paper),
    conda:
        "../envs/uqdm.yaml"
    params:
        run=subpath(input[0], parent=True),
        options=paper_options,
    shell:
        "uqdm bench paper --run={params.run:q} --published {wildcards.paper} {params.options:q} > {log:q} 2>&1"


rule paper_cifar10:
    input:
        expand(
            "{results}/paper_cifar10/{product}",
            results=RESULTS,
            product=PAPER_PRODUCTS,
        ),


rule paper_imagenet64:
    input:
        expand(
            "{results}/paper_imagenet64/{product}",
            results=RESULTS,
            product=PAPER_PRODUCTS,
        ),
