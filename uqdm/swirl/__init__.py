"""The swirl experiments (Sec. 5.1, Yang et al. 2025): models trained, measured on held-out points, claims judged.

``training`` makes the models, ``measure`` measures those of a seed, ``report`` writes tables, figures and verdicts.
"""
