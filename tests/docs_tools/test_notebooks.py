"""The notebooks run from beginning to end, and their pages show what they print and draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("jupytext")

from docs_tools import notebooks  # noqa: E402
from docs_tools.repository import page_places  # noqa: E402

SOURCES = {source.stem: source for source in notebooks.sources()}


def text_of(notebook: Any) -> str:
    """Everything that the cells print."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "\n".join(output.get("text", "") for output in outputs)


def pictures_of(notebook: Any, name: str) -> int:
    _, files = notebooks.markdown_of(notebook, name)
    return sum(isinstance(content, bytes) and content.startswith(b"\x89PNG") for content in files.values())


@pytest.mark.slow
@pytest.mark.cluster
def test_a_codec_of_the_notebook_is_benchmarked_beside_others(tmp_path: Path) -> None:
    done = notebooks.execute(SOURCES["benchmark_your_codec"], tmp_path)
    printed = text_of(done)
    assert "block-dct: 20 ok, 0 failed" in printed
    assert "against jpeg" in printed
    assert pictures_of(done, "n") == 2
    assert (tmp_path / "results" / "mine" / "summary.parquet").is_file()


@pytest.mark.slow
def test_a_progressive_file_is_taken_apart(tmp_path: Path) -> None:
    done = notebooks.execute(SOURCES["progressive_file"], tmp_path)
    printed = text_of(done)
    assert "equal: True" in printed
    assert "bytes hold step 4" in printed
    assert "cut: the file is cut inside step 1" in printed
    assert pictures_of(done, "n") == 3


def test_a_page_has_the_results_of_its_cells() -> None:
    stream = nbformat.v4.new_output("stream", text="0 %\r100 %\n\x1b[31mred\x1b[0m\n")
    frame = nbformat.v4.new_output(
        "display_data", {"text/html": "<style>td {}</style>\n\n<table></table>", "text/plain": ""}
    )
    picture = nbformat.v4.new_output("display_data", {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"})
    cells = [
        nbformat.v4.new_markdown_cell("# Title"),
        nbformat.v4.new_code_cell("1 + 1", outputs=[stream, frame, picture]),
        nbformat.v4.new_code_cell("%%writefile a/codec.py\nx = 1"),
        nbformat.v4.new_code_cell("%%bash\nuqdm doctor"),
    ]
    text, files = notebooks.markdown_of(nbformat.v4.new_notebook(cells=cells), "name")
    assert "```{ .text .no-copy .output }\n100 %\nred\n```" in text
    assert '<div class="result">\n<table></table>\n</div>' in text
    assert "](name/1-2.png)" in text
    assert files == {"name/1-2.png": b"\x89PNG\r\n\x1a\n"}
    assert '```py title="a/codec.py"\nx = 1\n```' in text
    assert "```sh\nuqdm doctor\n```" in text


def test_a_notebook_without_results_says_how_to_get_them(tmp_path: Path) -> None:
    section = notebooks.section(page_places(), tmp_path)
    assert {Path(page.path).stem for page in section.pages} == set(SOURCES)
    assert all("make site" in page.markdown for page in section.pages)
