"""The paper's figures beside what a run measured: row by row, with a verdict.

``protocol`` says how the published figures were made, ``judge`` when a measured one agrees, ``rows`` puts both side by
side, ``head`` says what the images allow, ``markdown``, ``latex`` and ``figures`` show it, and ``save`` writes it all.
"""
