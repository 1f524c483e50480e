"""Features of pictures for metrics of sets: weights, the network, a store of features, and the Frechet distance."""
