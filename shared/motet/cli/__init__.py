"""The `motet` command. Importing it is quick: a command loads what it needs when it runs."""
