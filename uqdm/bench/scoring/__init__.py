"""Scoring: metrics of pictures that stored streams decode to. Nothing is encoded.

``stored`` reads what an evaluation left; ``pictures`` decodes and scores pictures in workers, ``scores`` keeps what
they find; ``extraction`` takes features of pictures in workers; ``selection`` says on which pictures metrics of sets
are computed, ``sets`` computes them; ``fill`` writes the rows; ``run`` puts these together.
"""
