"""The strategy `deep`: imported only when a task asks for it."""
