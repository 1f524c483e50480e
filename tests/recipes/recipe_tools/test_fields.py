"""The bytes of a recipe's file: what was written is read, and what was changed is refused."""

from __future__ import annotations

import doctest
import importlib
from types import ModuleType

import pytest


@pytest.fixture
def fields(path_of_hosts: None) -> ModuleType:
    return importlib.import_module("recipe_tools.fields")


@pytest.fixture
def refused(fields: ModuleType) -> type[Exception]:
    error: type[Exception] = fields.StreamError
    return error


def test_the_example_works(fields: ModuleType) -> None:
    assert doctest.testmod(fields).failed == 0
    assert doctest.testmod(fields).attempted > 0


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 16383, 16384, 2**35 - 1])
def test_numbers_come_back_in_their_shortest_form(fields: ModuleType, value: int) -> None:
    data = fields.number(value)
    reader = fields.Reader(data)
    assert reader.number("it", 0, 2**35) == value
    reader.end()
    assert len(data) == max(1, -(-value.bit_length() // 7))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "ends within it"),
        (b"\x80", "ends within it"),
        (b"\x80\x00", "not a number in its shortest form"),
        (b"\xff" * 5, "not a number in its shortest form"),
        (b"\x64", "is 100, not from 1 to 99"),
        (b"\x00", "is 0, not from 1 to 99"),
    ],
)
def test_numbers_that_no_one_writes_are_refused(
    fields: ModuleType, refused: type[Exception], data: bytes, reason: str
) -> None:
    with pytest.raises(refused, match=reason):
        fields.Reader(data).number("it", 1, 99)


def test_a_part_is_no_longer_than_what_is_there(fields: ModuleType, refused: type[Exception]) -> None:
    data = fields.part(b"abcdef")
    assert fields.Reader(data).part("string") == b"abcdef"
    for length in range(len(data)):
        with pytest.raises(refused, match="string"):
            fields.Reader(data[:length]).part("string")
    with pytest.raises(refused, match="length of string is 16384, not from 0 to 3"):
        fields.Reader(fields.number(16384)).part("string")


def test_sizes_have_bounds(fields: ModuleType, refused: type[Exception]) -> None:
    assert fields.Reader(fields.number(2) + fields.number(3)).size() == (2, 3)
    with pytest.raises(refused, match="65536 x 65536 pixels"):
        fields.Reader(2 * fields.number(65536)).size()
    with pytest.raises(refused, match="height is 0"):
        fields.Reader(fields.number(0) + fields.number(3)).size()


def test_nothing_follows_the_end(fields: ModuleType, refused: type[Exception]) -> None:
    with pytest.raises(refused, match="2 bytes follow its end"):
        fields.Reader(b"ab").end()
