"""Reference of the Python interface: which names it has; mkdocstrings writes their pages from the code."""

from __future__ import annotations

from dataclasses import dataclass

from docs_tools.pages import MadePage, Section


@dataclass(frozen=True)
class Part:
    """A page about names of the package.

    ``objects`` maps the full name of an object to the members that are shown; empty for all public ones.
    """

    file: str
    title: str
    about: str
    objects: dict[str, tuple[str, ...]]


PARTS = (
    Part(
        "models",
        "Models and files",
        "Loads a model, and makes and reads progressive files. `load_model` returns a `ProgressiveCodec`.",
        {
            "uqdm.load_model": (),
            "uqdm.progressive.progressive_codec.ProgressiveCodec": (),
            "uqdm.progressive.files.Compressed": (),
            "uqdm.progressive.files.Picture": (),
        },
    ),
    Part(
        "codec",
        "The codec contract",
        "What a codec defines, and how codecs are found by name. [Add a codec](../../add-a-codec.md) is the guide.",
        {"uqdm.codec": ()},
    ),
    Part(
        "metrics",
        "Metrics",
        "What a metric declares, and how metrics are found.",
        {
            "uqdm.bench.metrics": (
                *("Metric", "SetMetric", "SetBasis", "Patches", "declared", "all_metrics", "all_set_metrics"),
                *("columns_of", "lack_of", "rows_schema", "summary_schema"),
            )
        },
    ),
    Part(
        "data-sets",
        "Data sets",
        "What a data set defines, and how one is opened. [Data sets](../../data-sets.md#add-one) is the guide.",
        {
            "uqdm.bench.datasets": (
                *("DataSet", "Images", "Origin", "open_dataset", "dataset_kinds", "dataset_class", "spec_of"),
                *("DataSetError", "UnknownDataSetError"),
            )
        },
    ),
    Part(
        "plots",
        "Plots",
        "What a plot defines, and how plots are drawn.",
        {"uqdm.bench.plots": ("Plot", "NothingToDrawError", "all_plots", "find_plot", "save_plot")},
    ),
    Part(
        "results",
        "Results",
        "Reads the rows and the summary of a run. Their columns are listed in [Columns](../columns.md).",
        {
            "uqdm.bench.run.rows_reader.read_rows": (),
            "uqdm.bench.run.summary_reader.read_summary": (),
            "uqdm.bench.run.summary_reader.summary_provenance": (),
            "uqdm.bench.run.errors": (),
        },
    ),
    Part(
        "images",
        "Images",
        "How an image file becomes pixels.",
        {"uqdm.images": ("read_image", "read_with_changes", "changes_text", "Change", "ImageError")},
    ),
    Part("errors", "Errors", "Errors that a user can fix.", {"uqdm.errors": ()}),
    Part(
        "configuration",
        "Configuration",
        "The configuration of the workflow as typed objects. [Configuration](../configuration.md) lists its keys.",
        {"uqdm.configuration": ("Configuration", "RunOptions", "chosen_runs")},
    ),
)


def _directive(name: str, members: tuple[str, ...]) -> str:
    shown = "".join(f"\n        - {member}" for member in members)
    return f"::: {name}\n" + (f"    options:\n      members:{shown}\n" if members else "")


def part_page(part: Part) -> MadePage:
    """The page of a part, with a directive of mkdocstrings for each object."""
    directives = [_directive(name, members) for name, members in part.objects.items()]
    return MadePage(
        f"reference/python/{part.file}.md", part.title, "\n".join([f"# {part.title}\n\n{part.about}\n", *directives])
    )


def section() -> Section:
    """The pages of all parts."""
    return Section(tuple(part_page(part) for part in PARTS))
