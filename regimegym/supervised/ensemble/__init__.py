"""Predictors of predictors: averages, routing by regime, weights that learn, stacking."""
