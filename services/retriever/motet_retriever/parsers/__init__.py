"""Parsers: from a file's bytes to its text, with what is a heading, a table or code in it.

One module a family of formats; `motet_retriever.parsers.reading` picks it. They are run by
`motet_retriever.parsing` in processes of their own, as files come from anybody.
"""

PARSING = 1
"""Version of what the parsers make: a change of the code that reads otherwise is a new one, and
makes each document be stored again when it is next ingested."""

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How a compound file begins: an Office file that is encrypted, or of before 2007."""
