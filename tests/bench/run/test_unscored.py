"""Guards the column ``unscored``: a map in files, dictionaries in data frames, text for people."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from uqdm.bench.analysis.csv_cells import frame_for_people
from uqdm.bench.run.unscored import reasons_by_row, to_frame, unscored_text
from uqdm.bench.schema import NOT_SCORED, UNSCORED

ROWS = [None, {"lpips": "no weights; fetch them", "kid": "n=2"}, {}, NOT_SCORED, {"kid": "n=2"}, None, NOT_SCORED]


@pytest.mark.parametrize("parts", [[slice(0, 7)], [slice(0, 3), slice(3, 7)], [slice(2, 2), slice(1, 6)]])
def test_maps_are_read_as_dictionaries_that_equal_rows_share(parts: list[slice]) -> None:
    whole = pa.array(ROWS, UNSCORED)
    column = pa.chunked_array([whole.slice(part.start, part.stop - part.start) for part in parts])
    found = reasons_by_row(column)
    assert found == [reasons for part in parts for reasons in ROWS[part]]
    shared = [reasons for reasons in found if reasons == NOT_SCORED]
    assert all(reasons is shared[0] for reasons in shared)


def test_text_of_older_formats_is_read_as_maps() -> None:
    texts = ["lpips: no weights, fetch them: now; kid: n=2", None, "not scored yet", ""]
    expected = [{"lpips": "no weights, fetch them: now", "kid": "n=2"}, None, NOT_SCORED, None]
    assert reasons_by_row(pa.chunked_array([texts])) == expected


def test_a_frame_has_dictionaries_where_the_column_was_and_csv_has_text() -> None:
    table = pa.table({"a": range(7), "unscored": pa.array(ROWS, UNSCORED), "b": range(7)})
    frame = to_frame(table)
    assert list(frame) == ["a", "unscored", "b"]
    assert frame["unscored"].tolist() == ROWS
    assert to_frame(table.slice(0, 0))["unscored"].tolist() == []
    text = frame_for_people(frame)["unscored"]
    assert text[1] == "lpips: no weights, fetch them; kid: n=2"
    assert text[3] == "not scored yet"
    assert pd.isna(text[0])
    assert unscored_text({}) is None
