"""Jobs on Ray: workers, actors, scheduling, limits, retries, sessions. Imports no codec, metric, run or progress."""
