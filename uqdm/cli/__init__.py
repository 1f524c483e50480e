"""The command line: a file for each subcommand, gathered in :mod:`uqdm.cli.main`."""
