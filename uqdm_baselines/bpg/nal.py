"""NAL units, the packets of an HEVC stream (H.265, 7.3.1 and annex B)."""

from __future__ import annotations

import re
from collections.abc import Iterable

START_CODE = b"\0\0\1"
VPS, SPS, PPS, AUD, PREFIX_SEI, SUFFIX_SEI = 32, 33, 34, 35, 39, 40
INSTANT_REFRESH = (19, 20)
"""Types of a slice of a picture that needs no other: IDR_W_RADL and IDR_N_LP."""


def nal_type(unit: bytes) -> int:
    """The type of a NAL unit, nal_unit_type of table 7-1."""
    return unit[0] >> 1 & 0x3F


def split_units(annex_b: bytes) -> list[bytes]:
    """The NAL units between the start codes of a byte stream, without what stands before the first.

    >>> [unit.hex() for unit in split_units(bytes.fromhex("00000001 4001 0c 000001 4201 00"))]
    ['40010c', '4201']
    """
    # zeros before a start code, and at the end, belong to no unit (B.2.2)
    return [unit.rstrip(b"\0") for unit in annex_b.split(START_CODE)[1:]]


def join_units(units: Iterable[bytes]) -> bytes:
    """NAL units as a byte stream, each behind a start code."""
    return b"".join(START_CODE + unit for unit in units)


def payload(unit: bytes) -> bytes:
    """The payload (RBSP) of a NAL unit: behind the two bytes of its header, without emulation prevention."""
    return unit[2:].replace(b"\0\0\3", b"\0\0")


def make_unit(unit_type: int, rbsp: bytes) -> bytes:
    """A NAL unit of layer 0 around a payload, with emulation prevention (7.4.2).

    >>> make_unit(33, bytes.fromhex("000001")).hex()
    '420100000301'
    """
    return bytes([unit_type << 1, 1]) + re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\0\0\3", rbsp)
