"""What a run has on disk: its layout, its shards and stores, and one reader for all of them."""
