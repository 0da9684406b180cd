"""Search over settings: spaces, trials that are killed and go on, what was found, and on a cluster."""
