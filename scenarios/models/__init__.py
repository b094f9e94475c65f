"""Six published routers' architectures, from checkpoint to routed request, and what may break on the way.

Checkpoints are made on the spot, small and random, with the classes of the published ones: what they choose means
nothing, and everything up to the choice is what real weights go through.
"""
