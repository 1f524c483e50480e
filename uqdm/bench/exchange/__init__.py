"""Rate-distortion points from and for other programs: plain CSV, and the JSON of CompressAI and of codec-compare."""
