# Curves of others that the configuration names, stored in the folder of each run. The folder then holds these and no
# others. Without any the rule is not used, and what a user imported by hand stays.


rule import_points:
    input:
        f"{RESULTS}/{{run}}/evaluation.json",
        files=imported_files,
    output:
        directory(f"{RESULTS}/{{run}}/imported"),
    log:
        f"{RESULTS}/{{run}}/logs/import.log",
    benchmark:
        f"{RESULTS}/{{run}}/benchmarks/import.tsv"
    conda:
        "../envs/uqdm.yaml"
    params:
        run=subpath(input[0], parent=True),
    shell:
        'for file in {input.files:q}; do uqdm bench import "$file" --run={params.run:q}; done > {log:q} 2>&1'
