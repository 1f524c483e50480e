"""Learned transform codes in files: a factorized prior or a hyperprior, and rounding or universal quantization."""

from uqdm_baselines.hyperprior.codec import Hyperprior, UniversallyQuantized

__all__ = ["Hyperprior", "UniversallyQuantized"]
