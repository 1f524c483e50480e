"""Names of the ways to quantize latents, as configurations of models have them."""

ROUNDING, UNIVERSAL = "rounding", "universal"
QUANTIZATIONS = (ROUNDING, UNIVERSAL)
