"""What rows and summaries say: means, intervals, curves, BD figures, comparisons."""
