"""The bytes of a recipe's file: whole numbers and parts with their lengths, read with bounds.

>>> data = number(300) + part(b"abc")
>>> reader = Reader(data)
>>> reader.number("height", 1, 1000), reader.part("string"), reader.end()
(300, b'abc', None)
"""

from uqdm_codec_host import StreamError

MOST_PIXELS = 1 << 27
"""Of an image; the benchmark reads no larger ones."""


def number(value):
    """A whole number of at least 0: seven bits in each byte, the lowest first; the last byte is below 128."""
    found = bytearray()
    while value >= 128:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes(found) + bytes([value])


def part(data):
    """The length of a part as a number, and the part."""
    return number(len(data)) + bytes(data)


class Reader:
    """Reads a file from its begin; raises StreamError where it is cut, or a number is out of its bounds."""

    def __init__(self, data):
        self.data = data
        self.position = 0

    def number(self, name, least, most):
        """The next number."""
        value = 0
        for place in range(5):
            if self.position == len(self.data):
                raise StreamError("it ends within {}".format(name))
            byte = self.data[self.position]
            self.position += 1
            value |= (byte & 127) << 7 * place
            if byte < 128:
                break
        if byte >= 128 or (place and not byte):
            raise StreamError("its {} is not a number in its shortest form".format(name))
        if not least <= value <= most:
            raise StreamError("its {} is {}, not from {} to {}".format(name, value, least, most))
        return value

    def part(self, name):
        """The next part; no memory is taken for more than there is."""
        length = self.number("length of {}".format(name), 0, len(self.data))
        if length > len(self.data) - self.position:
            left = len(self.data) - self.position
            raise StreamError("its {} has {} bytes, of which {} are there".format(name, length, left))
        self.position += length
        return self.data[self.position - length : self.position]

    def size(self, most_side=1 << 16):
        """Height and width of an image, of at most :data:`MOST_PIXELS` pixels."""
        height = self.number("height", 1, most_side)
        width = self.number("width", 1, most_side)
        if height * width > MOST_PIXELS:
            raise StreamError("its image has {} x {} pixels; at most {} are read".format(height, width, MOST_PIXELS))
        return height, width

    def at_end(self):
        """Whether nothing is left."""
        return self.position == len(self.data)

    def end(self):
        """Raises StreamError if something is left."""
        if not self.at_end():
            raise StreamError("{} bytes follow its end".format(len(self.data) - self.position))
