"""Messages name one thing in the singular: a number and its noun come from one function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOUNS = {"codecs", "images", "settings", "rows", "pictures", "shards", "models", "runs", "seeds", "tests", "reasons"}
NOUNS |= {"networks", "widths", "workers", "steps", "cores", "jobs", "metrics"}
NEVER_ONE = {
    "release",  # images of ImageNet64
    "words",  # "test" or "training" images
    "counts",  # "5 of 12" settings
    "n_scored",  # FID needs more
    "count",  # of a sweep that gives too many settings
    "n_workers",  # that share a batch
    "shape[0]",  # images of a file that is no release
    "len(whole)",  # pictures in a folder beside the report, which one would not need
    "file.SCHEDULE_STEPS.allowed",  # a range
    "n_steps",  # of a schedule that has networks
    "self.schedule.n_steps",
}
"""Numbers that are not 1 where a plural follows them, as the code has them."""


def numbers_before_plurals(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Line, number and noun of each f-string that has them side by side; "1 of 3 images" is a plural."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        for before, number, after in zip([None, *node.values], node.values, node.values[1:], strict=False):
            if not isinstance(number, ast.FormattedValue) or not isinstance(after, ast.Constant):
                continue
            noun = str(after.value).split()[0].rstrip(".,;:)") if str(after.value).strip() else ""
            of_several = isinstance(before, ast.Constant) and str(before.value).endswith((" of ", " to "))
            if str(after.value).startswith(" ") and noun in NOUNS and not of_several:
                yield number.lineno, ast.unparse(number.value), noun


def test_a_number_and_its_noun_agree() -> None:
    wrong = []
    for path in sorted((ROOT / "uqdm").rglob("*.py")):
        for line, number, noun in numbers_before_plurals(ast.parse(path.read_text())):
            constant = number.rsplit(".")[-1].isupper()
            if number not in NEVER_ONE and not constant:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {number} {noun}: use uqdm.text.counted")
    assert wrong == []


def test_the_search_finds_what_it_is_for() -> None:
    found = numbers_before_plurals(
        ast.parse('f"{len(codecs)} codecs, {n} of {m} images, {LIMIT} rows and {k} of rows"')
    )
    assert list(found) == [(1, "len(codecs)", "codecs"), (1, "LIMIT", "rows")]


def test_no_message_has_a_plural_in_parentheses() -> None:
    texts = {path: path.read_text() for path in (ROOT / "uqdm").rglob("*.py")}
    nouns = [f"{noun[:-1]}(s)" for noun in NOUNS]
    assert [str(path) for path, text in texts.items() if any(noun in text for noun in nouns)] == []
