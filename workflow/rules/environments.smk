# Environments of codecs that name a lock file of pip or a file of conda, each made once for all runs, where Snakemake runs:
# nodes of a cluster often reach no index of packages. `snakemake --cores 1 environments` makes those of all runs. They lie
# in a folder that results share (docs/environments.md); the output is a note of what each has. Its name has the hash of the
# file, so that a change of the file makes another environment.


localrules:
    environments,
    make_environment,


rule environments:
    input:
        notes_of_runs,


rule make_environment:
    input:
        file=environment_file,
        state=environment_state,
    output:
        f"{RESULTS}/environments/{{environment}}.json",
    log:
        f"{RESULTS}/environments/logs/{{environment}}.log",
    benchmark:
        f"{RESULTS}/environments/benchmarks/{{environment}}.tsv"
    wildcard_constraints:
        environment=r"[A-Za-z0-9._-]+-[0-9a-f]{12}",
    conda:
        "../envs/uqdm.yaml"
    shell:
        "uqdm environments make {input.file:q} --note {output:q} > {log:q} 2>&1"
