"""``python -m uqdm``: the command line of ``uqdm``, also where its script is not on the path."""

from __future__ import annotations

from uqdm.cli.main import main

if __name__ == "__main__":
    main()
