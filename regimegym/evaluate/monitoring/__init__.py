"""A model at work is watched: its results, its features, who is told, and what was written down."""
