"""Classic image codecs behind the contract of :mod:`uqdm.codec`, one module each.

Every stream is a complete file of its format, headers included; its length is the rate. All encoder options that
bear on rate or quality are given explicitly, so that a library's new defaults do not move a curve. Encoders and
decoders run on one thread: a benchmark spreads images over the cores itself.
"""
