"""The command line: a file for each subcommand, combined in :mod:`uqdm.cli.main`."""
