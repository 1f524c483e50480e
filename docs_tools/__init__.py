"""The documentation site: pages that are generated from the code, links, notebooks, and plots of a run.

MkDocs calls ``site_hooks``. The guides are the files of ``docs/``; everything else on the site is made here.
"""
