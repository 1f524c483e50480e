"""The gallery: plots of a run as the product draws them, and its report as a page that is alive."""

from __future__ import annotations

from pathlib import Path

from docs_tools.markdown import code, fence, text
from docs_tools.pages import MadePage, Section
from uqdm.bench.plots import Plot, all_plots
from uqdm.bench.run.layout import report_path, report_pictures_path

_FOLDER = "gallery"
_NO_RUN = (
    "This build of the site has no results of a run. The command {command} makes a small run of the demo, and builds "
    "the site with its plots and its report.\n"
)


def section(run_dir: Path) -> Section:
    """The pages of the gallery and of the report; a run that is missing leaves a note in their place."""
    if not report_path(run_dir).is_file():
        note = _NO_RUN.format(command=code("make site"))
        return Section(
            (
                MadePage(f"{_FOLDER}/index.md", "Plots", f"# Gallery\n\n{note}"),
                MadePage(f"{_FOLDER}/report.md", "Report", f"# A report\n\n{note}"),
            )
        )
    plots = [(plot, file) for plot in sorted(all_plots(), key=lambda one: one.order) if (file := _shown(plot, run_dir))]
    files: dict[str, Path | bytes] = {f"{_FOLDER}/plots/{file.name}": file for _, file in plots}
    files |= _report_files(run_dir)
    return Section((_plots_page(run_dir, [*plots]), _report_page(run_dir)), files)


def _shown(plot: Plot, run_dir: Path) -> Path | None:
    """The file of a plot that a page shows; None if the run has none."""
    files = [file for file in plot.files(run_dir) if file.suffix == f".{plot.shown}" and file.is_file()]
    return files[0] if files else None


def _plots_page(run_dir: Path, plots: list[tuple[Plot, Path]]) -> MadePage:
    parts = [
        "# Gallery\n",
        "The plots of one small run, as `uqdm bench run` draws them. [The report](report.md) of the same run is "
        "interactive. The run was made by:\n",
        fence(_command(run_dir), "sh"),
    ]
    for plot, file in plots:
        caption = "" if plot.caption_drawn else f"{text(plot.captioned(run_dir))}\n"
        parts += [f"## {plot.title}\n", f"![{text(plot.title)}](plots/{file.name})\n", caption]
    return MadePage(f"{_FOLDER}/index.md", "Plots", "\n".join(filter(None, parts)))


def _command(run_dir: Path) -> str:
    """The command that makes the run of the site, as it is typed."""
    from docs_tools.demo_run import arguments

    line = " ".join(["uqdm", *arguments(Path("results") / run_dir.name)])
    return line.replace(" --codec", " \\\n    --codec", 1).replace(" --metric", " \\\n    --metric", 1)


def _report_files(run_dir: Path) -> dict[str, Path | bytes]:
    report = report_path(run_dir)
    pictures = report_pictures_path(report)
    inside = sorted(file for file in pictures.rglob("*") if file.is_file()) if pictures.is_dir() else []
    return {f"{_FOLDER}/run/{file.relative_to(report.parent).as_posix()}": file for file in [report, *inside]}


def _report_page(run_dir: Path) -> MadePage:
    name = report_path(run_dir).name
    body = (
        "---\nhide:\n  - navigation\n  - toc\n---\n\n"
        "# A report\n\n"
        "`uqdm bench run` ends with a report: one page that loads nothing from the network. This is the one of the run "
        f"whose plots are in the [gallery](index.md).\n\n[Open it alone](run/{name}){{ .md-button target=_blank }}\n\n"
        f'<iframe class="report" src="run/{name}" title="Report of a run of the demo"></iframe>\n'
    )
    return MadePage(f"{_FOLDER}/report.md", "Report", body)
