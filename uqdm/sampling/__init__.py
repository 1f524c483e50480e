"""Unconditional samples: pictures drawn from a model alone, by its reverse process from z_T ~ N(0, 1)."""
