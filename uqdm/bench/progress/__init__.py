"""How far a run is: counts, rates and time left; terminal, log and status file; the lock of a run's folder."""
