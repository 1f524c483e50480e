"""Numbers in bit streams: fixed-length and Exp-Golomb codes of HEVC, and the byte codes ``ue7`` of BPG."""

from __future__ import annotations

from uqdm.codec import StreamError

_MAX_UE7_BYTES = 5  # what 32 bits take
_MAX_UE_ZEROS = 31  # longest code of a number of 32 bits (H.265, 9.2)


class BitWriter:
    """Collects bits, the most significant first.

    >>> writer = BitWriter()
    >>> writer.put(1, 1)
    >>> writer.put_ue(3)
    >>> writer.aligned().hex()
    '90'
    """

    def __init__(self) -> None:
        self._value = 0
        self._count = 0

    def put(self, value: int, count: int) -> None:
        """Appends ``value`` in ``count`` bits."""
        if not 0 <= value < 1 << count:
            raise ValueError(f"{value} does not fit into {count} bits")
        self._value = self._value << count | value
        self._count += count

    def put_ue(self, value: int) -> None:
        """Appends ``value`` >= 0 as an Exp-Golomb code of order 0, ue(v) of H.265, 9.2."""
        self.put(value + 1, 2 * (value + 1).bit_length() - 1)

    def aligned(self) -> bytes:
        """All bits, padded with zeros to a whole byte."""
        padding = -self._count % 8
        return (self._value << padding).to_bytes((self._count + padding) // 8, "big")


class BitReader:
    """Reads bits, the most significant first; past the end it raises :class:`StreamError`.

    >>> reader = BitReader(bytes.fromhex("90"))
    >>> reader.take(1), reader.take_ue()
    (1, 3)
    """

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """The next ``count`` bits."""
        if count > self._left:
            raise StreamError("a header of the HEVC picture is cut short")
        self._left -= count
        return self._value >> self._left & (1 << count) - 1

    def take_ue(self) -> int:
        """The next Exp-Golomb code of order 0."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > _MAX_UE_ZEROS:
                raise StreamError("a header of the HEVC picture has a number of more than 32 bits")
        return (1 << zeros) - 1 + self.take(zeros)


def write_ue7(value: int) -> bytes:
    """``value`` >= 0 in groups of seven bits, every byte but the last with its top bit set.

    >>> write_ue7(542).hex()
    '841e'
    """
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))


def read_ue7(data: bytes, position: int) -> tuple[int, int]:
    """The number at ``position`` and the position behind it; raises StreamError unless it has its shortest form.

    >>> read_ue7(bytes.fromhex("841e"), 0)
    (542, 2)
    """
    value = 0
    for index in range(position, min(position + _MAX_UE7_BYTES, len(data))):
        value = value << 7 | data[index] & 0x7F
        if data[position] == 0x80:
            raise StreamError("a number in the header has leading zeros")
        if data[index] < 0x80:
            if value >= 1 << 32:
                break
            return value, index + 1
    raise StreamError("the header is cut short, or has a number of more than 32 bits")
