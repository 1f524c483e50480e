"""Tables in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_PIPE_WIDTH = 10_000  # columns where nothing has to fit a screen


def print_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]], texts: Sequence[str] = ()) -> None:
    """Prints a table as wide as it is, or as the terminal; columns named in ``texts`` to the left, others to the right.

    What comes from files is printed as it stands, without markup.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        named = heading in texts
        table.add_column(Text(heading), justify="left" if named else "right", overflow="fold", no_wrap=not named)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
