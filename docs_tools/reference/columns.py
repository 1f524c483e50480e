"""Reference of the columns of result files, from the schemas with their comments."""

from __future__ import annotations

import pyarrow as pa

from docs_tools.markdown import code, table, text
from docs_tools.pages import MadePage


def schemas() -> dict[str, tuple[str, pa.Schema]]:
    """By heading: the files that have the columns, and their schema with the columns of all metrics."""
    from uqdm.bench import schema
    from uqdm.bench.metrics import rows_schema, summary_schema

    return {
        "Rows": ("`per_image/`: a row for each image, setting, point and reconstruction", rows_schema()),
        "Summary": (
            "`summary.parquet`, `summary.csv`: a row for each setting, point and reconstruction",
            summary_schema(),
        ),
        "BD figures": ("`bd.csv`: a row for each curve and metric, compared with an anchor", schema.BD),
        "BD figures of images": ("`bd_per_image.csv`: a row for each image of these", schema.BD_OF_IMAGES),
        "Comparison of two runs": (
            "`uqdm bench compare`: a row for each pair of pictures and metric",
            schema.COMPARISON,
        ),
        "Realistic and faithful pictures": (
            "`uqdm bench plane`: a row for each realistic picture of a point",
            schema.PLANE,
        ),
        "Robustness": ("`uqdm bench robustness`: a row for each setting and kind of damage", schema.ROBUSTNESS),
        "Streams": ("`streams/`: the coded files", schema.STREAMS),
        "Reconstructions": ("`reconstructions/`: decoded pictures, where they are kept", schema.RECONSTRUCTIONS),
        "Originals": ("`originals/`: originals, where pictures are kept", schema.ORIGINALS),
    }


def _row(field: pa.Field) -> tuple[str, str, str]:
    comment = (field.metadata or {}).get(b"comment", b"").decode()
    kind = str(field.type) + ("" if field.nullable else ", never null")
    return code(field.name), text(kind), text(comment)


def page() -> MadePage:
    """The page of all columns, a section for each file."""
    parts = [
        "# Columns of the result files\n",
        "Every column with its type and its meaning. [Results](../results.md) describes the files.\n",
    ]
    for heading, (about, schema) in schemas().items():
        parts.append(f"## {heading}\n\n{about}.\n\n{table(('column', 'type', 'meaning'), map(_row, schema))}")
    return MadePage("reference/columns.md", "Columns of results", "\n".join(parts))
