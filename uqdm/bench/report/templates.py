"""The templates, scripts and style sheets of pages, which lie beside this module."""

from __future__ import annotations

from importlib import resources

import jinja2


def environment() -> jinja2.Environment:
    """Reads templates; text from elsewhere is escaped, and an unknown name is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(str(__package__), package_path=""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def text_of(name: str) -> str:
    """The text of a script or style sheet."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
