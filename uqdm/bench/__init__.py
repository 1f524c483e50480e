"""The benchmark: data sets, evaluation on Ray, result rows, metrics, curves, tables and plots."""
