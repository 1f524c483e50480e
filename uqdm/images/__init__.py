"""How an image file becomes pixels: one rule for all code that reads images (docs/data-sets.md)."""

from uqdm.images.changes import Change, changes_text
from uqdm.images.errors import ImageError
from uqdm.images.folder import files_below, image_names
from uqdm.images.read import FORMATS, MAX_PIXELS, file_format, longest_file, read_image, read_with_changes

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "Change",
    "ImageError",
    "changes_text",
    "file_format",
    "files_below",
    "image_names",
    "longest_file",
    "read_image",
    "read_with_changes",
]
