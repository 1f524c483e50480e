"""Learned transform codes with a factorized prior or a hyperprior (Balle et al. 2018; Minnen et al. 2018), in files."""

from baselines.hyperprior.codec import Hyperprior

__all__ = ["Hyperprior"]
