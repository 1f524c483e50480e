# The cost of channel simulation: code lengths and samples drawn of real messages, against the divergence.


rule channel_cost:
    output:
        f"{RESULTS}/channel_cost/table.csv",
        report(
            f"{RESULTS}/channel_cost/table.md",
            caption="../report/channel_cost.rst",
            category="Channel simulation",
            labels={"product": "table"},
        ),
        report(
            f"{RESULTS}/channel_cost/cost.png",
            caption="../report/channel_cost.rst",
            category="Channel simulation",
            labels={"product": "bits and samples"},
        ),
        f"{RESULTS}/channel_cost/cost.svg",
    log:
        f"{RESULTS}/channel_cost/logs/channel_cost.log",
    benchmark:
        f"{RESULTS}/channel_cost/benchmarks/channel_cost.tsv"
    conda:
        "../envs/uqdm.yaml"
    params:
        out=subpath(output[0], parent=True),
        options=CONFIGURATION.channel_cost_arguments(),
    shell:
        "uqdm bench channel --out={params.out:q} {params.options:q} > {log:q} 2>&1"
