"""Features of pictures for metrics of sets: weights, the network, a store of features, and Frechet's distance."""
