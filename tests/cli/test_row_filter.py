"""Guards how rows are chosen by text: every operator on figures and texts, null, and messages for syntax errors."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from uqdm.cli.bench._row_filter import Condition, QueryError, choose, matching, ordered, parse_conditions, where

FRAME = pd.DataFrame(
    {
        "codec": ["jpeg", "jpeg", "png", "uqdm"],
        "setting": ["quality=50", "quality=5", "", "first half against second half"],
        "bpp": [2.0, 1.0, 15.0, math.nan],
        "psnr_db": [31.0, 25.0, math.inf, math.nan],
        "n": [3, 3, 3, 0],
        "checked": [True, True, False, None],
        "error": [None, None, None, "decode: it broke"],
    }
)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("bpp<2", [1]),
        ("bpp <= 2", [0, 1]),
        ("bpp>2", [2]),
        ("bpp>=2", [0, 2]),
        ("bpp=2", [0]),
        ("bpp==2.0", [0]),
        ("bpp!=2", [1, 2]),
        ("psnr_db = inf", [2]),
        ("psnr_db<inf", [0, 1]),
        ("bpp < 1e1 and psnr_db > 30", [0]),
        ("bpp<10 AND psnr_db>1", []),
        ("n=0", [3]),
        ("codec=jpeg", [0, 1]),
        ("codec = JPEG", [0, 1]),
        ("codec != jpeg", [2, 3]),
        ("codec ~ pe", [0, 1]),
        ("setting=quality=5", [1]),
        ("setting ~ quality=5 and bpp>1.5", [0]),
        ("setting='quality=50'", [0]),
        ('setting = "first half against second half"', [3]),
        ("setting = first half against second half", [3]),
        ("setting=", [2]),
        ("setting=''", [2]),
        ("error=null", [0, 1, 2]),
        ("error != null", [3]),
        ("bpp=null", [3]),
        ("error ~ broke and n=0", [3]),
        ("checked=true", [0, 1]),
        ("checked=False", [2]),
    ],
)
def test_conditions(text: str, rows: list[int]) -> None:
    if " AND " in text:  # only the lower-case word joins
        with pytest.raises(QueryError, match="is none"):
            where(FRAME, parse_conditions(text))
    else:
        assert where(FRAME, parse_conditions(text)).index.tolist() == rows


def test_and_inside_a_quoted_text_is_part_of_it() -> None:
    assert parse_conditions("error=salt and pepper and n>1") == [
        Condition("error", "=", "salt and pepper"),
        Condition("n", ">", "1"),
    ]


@pytest.mark.parametrize(
    "text", ["", "bpp", "bpp<", "<2", "bpp 2", "bpp<2 and", "bpp<2 and psnr_db", "__import__('os')"]
)
def test_a_syntax_error_message_has_an_example(text: str) -> None:
    with pytest.raises(QueryError, match="bpp"):
        where(FRAME, parse_conditions(text))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("bp<2", r"no column 'bp' \(did you mean bpp"),
        ("bpp<two", "bpp is a number, 'two' is none"),
        ("bpp~2", "~ is for texts"),
        ("codec<jpeg", "codec is not a number; use =, != or ~"),
    ],
)
def test_conditions_of_the_wrong_type_are_refused(text: str, answer: str) -> None:
    with pytest.raises(QueryError, match=answer):
        where(FRAME, parse_conditions(text))


def test_patterns() -> None:
    assert matching(FRAME, {"codec": ["jp*", "png"], "setting": []}).index.tolist() == [0, 1, 2]
    assert matching(FRAME, {"codec": ["jpeg"], "setting": ["quality=5?"]}).index.tolist() == [0]
    with pytest.raises(QueryError, match=r"no codec 'jpgg' \(did you mean jpeg.*there are: jpeg, png, uqdm"):
        matching(FRAME, {"codec": ["jpgg"]})


def test_order_is_stable_with_null_last() -> None:
    assert ordered(FRAME, "bpp").index.tolist() == [1, 0, 2, 3]
    assert ordered(FRAME, "bpp", descending=True).index.tolist() == [2, 0, 1, 3]
    assert ordered(FRAME, "n", descending=True).index.tolist() == [0, 1, 2, 3]
    assert ordered(FRAME, None).index.tolist() == [0, 1, 2, 3]
    with pytest.raises(QueryError, match="did you mean bpp"):
        ordered(FRAME, "bppp")


def test_columns_are_in_the_requested_order() -> None:
    assert list(choose(FRAME, ["n", "codec"]).columns) == ["n", "codec"]
    with pytest.raises(QueryError, match=r"no column 'psnr' \(did you mean psnr_db"):
        choose(FRAME, ["psnr"])
