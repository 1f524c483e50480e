"""The swirl experiments (Sec. 5.1, Yang et al. 2025): training, measurements on held-out points, verdicts on claims.

``training`` trains the models, ``measure`` measures those of a seed, ``report`` writes tables, figures and verdicts.
"""
