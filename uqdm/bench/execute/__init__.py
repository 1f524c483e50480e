"""Jobs on Ray: workers, actors, scheduling, limits, retries, sessions. It imports no codec, metric, run or progress."""
