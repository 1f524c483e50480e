"""Costs of channel simulation for each method: code length beyond the KL divergence, and samples drawn."""
