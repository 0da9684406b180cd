"""Decision layers: what stands between a model's scores and the position that is taken."""
