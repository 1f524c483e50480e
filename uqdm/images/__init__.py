"""How an image file becomes pixels: one rule, used everywhere that the product reads images (docs/data-sets.md)."""

from uqdm.images.errors import ImageError
from uqdm.images.folder import files_below, image_names
from uqdm.images.read import FORMATS, MAX_PIXELS, read_image

__all__ = ["FORMATS", "MAX_PIXELS", "ImageError", "files_below", "image_names", "read_image"]
