"""Universally quantized diffusion models as an image codec, and a benchmark that holds it beside others."""
