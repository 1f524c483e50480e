"""Denoising diffusion codebook models with files: DDCM (Ohayon et al. 2025) and Turbo-DDCM (Vaisman et al. 2025)."""

from uqdm.ddcm.codec import DDCMCodec, TurboDDCMCodec

__all__ = ["DDCMCodec", "TurboDDCMCodec"]
