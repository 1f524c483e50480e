"""Features of pictures for FID and KID: weights, the network, a store of what it gave, and distances of sets."""
