"""Scoring: computes metrics of pictures that are decoded from stored streams. Nothing is encoded.

``options`` has the options; ``pictures`` decodes and scores pictures in workers; ``extraction`` computes features of
pictures in workers; ``selection`` chooses the pictures of set metrics, ``sets`` computes these; ``fill`` writes the
rows; ``run`` runs the whole stage.
"""
