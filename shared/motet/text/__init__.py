"""Text: languages, sentences, words, numbers, names, fencing and support, in any language.

The one place where Motet takes text apart; the extra `motet[text]`. A language is always an
argument, and what is known of it is a library's data (CLDR by Babel, ICU, Snowball), loaded when
the first text of that language comes. Import the module that you need; this package imports none.
"""
