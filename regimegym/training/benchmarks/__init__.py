"""Measured speed and memory, ours beside the other projects' in one run."""
