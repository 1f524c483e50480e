"""The figures of the paper compared with those of a run, row by row, with a verdict for each.

``protocol`` has the settings of the published figures, ``judge`` the rule of agreement, ``rows`` the comparison,
``networks`` and ``costs`` that of Appendix C, ``head`` the text above the tables. ``markdown``, ``latex``, ``figures``
and ``strips`` are the forms of output, and ``save`` writes them.
"""
