"""Passage stores: one port, and an adapter a module."""
