"""Graph stores: one port, one driver, and what each server has of its own in a dialect module."""
