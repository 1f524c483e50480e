"""Guards that one module defines the names in a run's folder, and that the workflow uses the same names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from uqdm.bench.run import layout
from uqdm.bench.run.layout import ShardFolder

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "uqdm"
RUN = Path("run")
FILES = {
    path.name
    for path in (
        layout.run_id_path(RUN),
        layout.lock_path(RUN),
        layout.status_path(RUN),
        layout.evaluation_path(RUN),
        layout.originals_path(RUN),
        layout.scores_path(RUN),
        layout.summary_path(RUN),
        layout.summary_path(RUN, ".csv"),
        layout.summary_columns_path(RUN),
        layout.bd_path(RUN),
        layout.bd_of_images_path(RUN),
        layout.robustness_path(RUN),
        layout.robustness_path(RUN, ".parquet"),
        layout.not_drawn_path(layout.plots_dir(RUN)),
        layout.report_path(RUN),
    )
}
FOLDERS = {
    *ShardFolder,
    layout.superseded_dir(RUN).name,
    layout.rows_dir(RUN).name,
    layout.manifests_dir(RUN).name,
    layout.plots_dir(RUN).name,
    layout.report_pictures_path(layout.report_path(RUN)).name,
    layout.features_dir(RUN).name,
    *layout.set_scores_path(RUN, "key").parts[1:-1],
    layout.shard_timings_path(RUN, "codec", "key").parts[1],
}


def texts_in_paths(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of each string that is a path: a part behind ``/``, or an argument of ``glob`` and the like."""
    calls = {"glob", "rglob", "joinpath", "with_name", "Path"}
    for node in ast.walk(tree):
        parts: list[ast.expr] = []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            parts = [node.right]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in calls:
            parts = node.args
        for part in parts:
            for found in ast.walk(part):
                if isinstance(found, ast.Constant) and isinstance(found.value, str):
                    yield found.lineno, found.value


def whole_texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of every string."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def names_of_a_run(tree: ast.AST) -> list[int]:
    """The lines that have a name of a run's folder: a file's wherever it is a whole string, a folder's in paths."""
    in_paths = {line for line, text in texts_in_paths(tree) if (FILES | FOLDERS) & set(text.split("/"))}
    return sorted(in_paths | {line for line, text in whole_texts(tree) if text in FILES})


def test_names_of_files_are_defined_only_in_the_layout() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}"
        for file in PACKAGE.rglob("*.py")
        if file != PACKAGE / "bench" / "run" / "layout.py"
        for line in names_of_a_run(ast.parse(file.read_text()))
    ]
    assert found == []


def test_a_name_of_a_run_is_found() -> None:
    code = 'a = run / "per_image" / f"{codec}.parquet"\nb = run / "sets/x.json"\nc = "scores.json"\nd = m["shards"]\n'
    assert names_of_a_run(ast.parse(code)) == [1, 2, 3]


def test_the_rules_write_the_files_that_the_layout_names() -> None:
    rules = "\n".join(file.read_text() for file in (ROOT / "workflow" / "rules").glob("*.smk"))
    written = set(re.findall(r'f"\{RESULTS\}/\{\{run\}\}/([\w.]+)', rules))
    described = set(re.findall(r"``([\w.]+)", layout.__doc__ or ""))
    assert {"evaluation.json", "scores.json", "summary.parquet", "plots", "logs"} <= written
    assert written <= described


def test_the_description_of_the_layout_has_every_name() -> None:
    assert [name for name in FILES | FOLDERS if name not in (layout.__doc__ or "")] == []
