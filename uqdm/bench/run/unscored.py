"""The text of the column ``unscored``: the metrics that a row lacks, each with the reason."""

from __future__ import annotations

from collections.abc import Mapping

from uqdm.bench.schema import NOT_SCORED


def unscored_text(reasons: Mapping[str, str]) -> str | None:
    """Reasons by metric as one text; None where there are none.

    >>> unscored_text({"ms_ssim": "64 px is too small", "lpips": "no weights; fetch them"})
    'ms_ssim: 64 px is too small; lpips: no weights, fetch them'
    """
    texts = (f"{name}: {' '.join(reason.replace(';', ',').split())}" for name, reason in reasons.items())
    return "; ".join(texts) or None


def unscored_reasons(text: str | None) -> dict[str, str]:
    """The reasons by metric in such a text; that of a row that was never scored has an empty name.

    >>> unscored_reasons("ms_ssim: 64 px is too small; lpips: no weights, fetch them")
    {'ms_ssim': '64 px is too small', 'lpips': 'no weights, fetch them'}
    >>> unscored_reasons("not scored yet"), unscored_reasons(None)
    ({'': 'not scored yet'}, {})
    """
    if not text:
        return {}
    if text == NOT_SCORED:
        return {"": NOT_SCORED}
    return dict(part.split(": ", 1) for part in text.split("; "))
