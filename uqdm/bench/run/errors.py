"""Errors in a run's folder, and the remedies that their messages name."""

from __future__ import annotations

from pathlib import Path


class ResultsError(ValueError):
    """A run's folder lacks something, or holds what does not belong together. The message says what and the remedy."""


class StreamsNotKeptError(ResultsError):
    """The coded files of a run were not kept."""


EVALUATE_AGAIN = "evaluate again as before (what is stored of the run is not measured again)"


def evaluate_codec_again(codec: str) -> str:
    """The remedy for a codec's rows that are damaged or of another run."""
    return f"{EVALUATE_AGAIN}, --codec {codec} among them"


def evaluate_remedy(run_dir: Path | str) -> str:
    """The command that makes rows.

    >>> evaluate_remedy("results/demo")
    'make it with: uqdm bench evaluate --dataset NAME --codec NAME --out results/demo'
    """
    return f"make it with: uqdm bench evaluate --dataset NAME --codec NAME --out {run_dir}"


def score_remedy(run_dir: Path | str) -> str:
    """The command that makes scores.

    >>> score_remedy("results/demo")
    'make it with: uqdm bench score --run results/demo'
    """
    return f"make it with: uqdm bench score --run {run_dir}"
