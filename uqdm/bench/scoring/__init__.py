"""Scoring: metrics of pictures that stored streams decode to. Nothing is encoded.

``options`` holds what can be chosen; ``pictures`` decodes and scores pictures in workers; ``extraction`` computes
features of pictures in workers; ``selection`` chooses the pictures of set metrics, ``sets`` computes these; ``fill``
writes the rows; ``run`` is the whole stage.
"""
