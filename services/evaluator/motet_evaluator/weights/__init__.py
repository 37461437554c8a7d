"""Weights: data files, each with how it was made."""
