"""Networks that read a window of bars: one trainer, four small networks."""
