"""Reference of the metrics, from their declarations."""

from __future__ import annotations

from collections.abc import Sequence

from docs_tools.markdown import code, text
from docs_tools.pages import MadePage
from uqdm.bench.metrics import Metric, SetMetric, all_metrics, all_set_metrics, columns_of, is_of_another_package


def _range(metric: Metric | SetMetric) -> str:
    least, greatest = (str(bound).replace("inf", "infinity") for bound in metric.value_range)
    return f"{least} to {greatest}"


def _facts(metric: Metric | SetMetric) -> list[tuple[str, str]]:
    facts = [
        ("column", code(metric.name)),
        ("computed", text(metric.comment)),
        ("defined in", text(metric.source)),
        ("unit", text(metric.unit or "none")),
        ("values", f"{_range(metric)}; {metric.direction} is better"),
        ("images", f"sides of at least {metric.smallest_side} pixels"),
    ]
    if isinstance(metric, SetMetric):
        facts += [
            (f"column {code(name)}", text(about)) for name, about in columns_of(metric).items() if name != metric.name
        ]
        facts += [("computed by default on", f"at least {metric.meaningful_set} {metric.items}")]
    return facts


def _metric(metric: Metric | SetMetric) -> str:
    heading = f"### {text(metric.label)} {{#{metric.name}}}"
    listed = "".join(f"- **{name}**: {about}\n" for name, about in _facts(metric))
    return f"{heading}\n\n{listed}"


def page() -> MadePage:
    """The page of all metrics of this project."""
    about = "[Metrics](../metrics.md) explains the choice of metrics, and [FID and KID](../fid.md) those of sets.\n"
    parts = ["# Metrics\n", about]
    kinds: dict[str, Sequence[Metric | SetMetric]] = {
        "Of single pictures": all_metrics(),
        "Of whole sets": all_set_metrics(),
    }
    for heading, metrics in kinds.items():
        own = [metric for metric in metrics if not is_of_another_package(metric)]
        parts += [f"## {heading}\n", *map(_metric, own)]
    return MadePage("reference/metrics.md", "Metrics", "\n".join(parts))
