"""Motet's speech: recordings in, transcripts out, and texts spoken."""
