"""What channel simulation costs: code length beyond the KL divergence, and samples drawn, method by method."""
