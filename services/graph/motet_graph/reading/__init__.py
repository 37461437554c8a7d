"""Read-only Cypher: parsed, checked and written anew before it reaches a database."""
