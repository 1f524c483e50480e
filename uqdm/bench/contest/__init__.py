"""The contest: diffusion codecs held against each other on the same images, in numbers and pictures of one page."""
