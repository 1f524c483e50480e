"""The paper's figures beside what a run measured: row by row, with a verdict.

``protocol`` says how the published figures were made, ``judge`` when a measured one agrees, ``rows`` puts both side by
side, ``networks`` and ``costs`` do so for its Appendix C, ``head`` says what the images allow, ``markdown``, ``latex``,
``figures`` and ``strips`` show it, and ``save`` writes it all.
"""
