"""``uqdm bench``: evaluate, summarize and plot, a file each."""
