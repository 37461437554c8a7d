"""A parser of the part of Cypher that only reads (openCypher 9).

    query      = part { UNION [ALL] part }
    part       = { [OPTIONAL] MATCH patterns [WHERE e] | UNWIND e AS name | WITH items [WHERE e] }
                 RETURN items
    items      = [DISTINCT] (* | e [AS name] {, e [AS name]}) [ORDER BY …] [SKIP n] [LIMIT n]
    pattern    = [name =] [shortestPath | allShortestPaths] ( node { relation node } )

It accepts or refuses; of what it accepts, `checked` gives the text that is sent. There is no clause
in it that writes, calls, loads or shows, and a name of a function, label or relation that is not
listed in `motet_graph.reading.allowed` ends it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from motet_graph.reading.allowed import FUNCTIONS, LABELS, LIMITS, RELATIONS
from motet_graph.reading.tokens import QueryError, Token, tokens, written

__all__ = ["checked"]

_RESERVED = frozenset(
    {
        "ADD", "ALL", "AND", "ANY", "AS", "ASC", "ASCENDING", "BY", "CALL", "CASE",
        "CONSTRAINT", "CONTAINS", "CREATE", "CSV", "DELETE", "DESC", "DESCENDING", "DETACH",
        "DISTINCT", "DROP", "ELSE", "END", "ENDS", "EXISTS", "FALSE", "FINISH", "FOREACH",
        "FROM", "IN", "INSERT", "IS", "LIMIT", "LOAD", "MATCH", "MERGE", "NODETACH", "NONE",
        "NOT", "NULL", "OPTIONAL", "OR", "ORDER", "REMOVE", "RETURN", "SET", "SHOW", "SINGLE",
        "SKIP", "STARTS", "TERMINATE", "THEN", "TRUE", "UNION", "UNIQUE", "UNWIND", "USE",
        "USING", "WHEN", "WHERE", "WITH", "XOR", "YIELD",
    }
)  # fmt: skip
_QUANTIFIERS = frozenset({"ALL", "ANY", "NONE", "SINGLE"})
_COMPARISONS = frozenset({"=", "<>", "<", ">", "<=", ">="})


def checked(query: str, parameters: Mapping[str, Any]) -> str:
    """The query as it is to be sent.

    Raises:
        QueryError: It is no query that only reads, or too large, or a parameter has no value.
    """
    if len(query) > LIMITS.characters:
        raise QueryError(f"A query has at most {LIMITS.characters} characters.")
    found = tokens(query)
    _Parser(found, parameters).query()
    return written(found)


class _Parser:
    """Reads tokens from left to right, one ahead."""

    def __init__(self, found: list[Token], parameters: Mapping[str, Any]) -> None:
        self._tokens = found
        self._at = 0
        self._depth = 0
        self._used: Counter[str] = Counter()
        self._parameters = parameters

    # Tokens

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _ahead(self, places: int) -> Token:
        return self._tokens[min(self._at + places, len(self._tokens) - 1)]

    def _take(self) -> Token:
        token = self._next
        self._at += 1
        return token

    def _is(self, *wanted: str) -> bool:
        """Whether the next token is one of these words or signs."""
        token = self._next
        return (
            token.word in wanted
            if token.kind == "word"
            else (token.kind == "sign" and token.text in wanted)
        )

    def _accept(self, *wanted: str) -> bool:
        if self._is(*wanted):
            self._at += 1
            return True
        return False

    def _expect(self, *wanted: str) -> None:
        if not self._accept(*wanted):
            raise self._unexpected(" or ".join(wanted))

    def _unexpected(self, wanted: str) -> QueryError:
        token = self._next
        there = f"{token.text!r} at character {token.at}" if token.text else "the end"
        return QueryError(f"Only what reads is accepted: {there} is not {wanted}.")

    def _name(self, what: str = "a name") -> str:
        token = self._next
        if token.kind != "word" or token.word in _RESERVED:
            raise self._unexpected(what)
        self._at += 1
        return token.text

    def _count(self, what: str) -> None:
        self._used[what] += 1
        limit = getattr(LIMITS, what)
        if self._used[what] > limit:
            raise QueryError(f"A query has at most {limit} {what.replace('_', ' ')}.")

    def _nested(self, read: Callable[[], None]) -> None:
        self._depth += 1
        if self._depth > LIMITS.depth:
            raise QueryError(f"A query is nested at most {LIMITS.depth} levels deep.")
        read()
        self._depth -= 1

    def _list(self, read: Callable[[], None]) -> None:
        read()
        while self._accept(","):
            read()

    # Clauses

    def query(self) -> None:
        """The whole query."""
        self._part()
        while self._accept("UNION"):
            self._accept("ALL")
            self._part()
        if self._next.kind != "end":
            raise self._unexpected("the end")

    def _part(self) -> None:
        while not self._accept("RETURN"):
            self._count("clauses")
            if self._accept("OPTIONAL"):
                self._expect("MATCH")
                self._match()
            elif self._accept("MATCH"):
                self._match()
            elif self._accept("UNWIND"):
                self._expression()
                self._expect("AS")
                self._name()
            elif self._accept("WITH"):
                self._items()
                self._where()
            else:
                raise self._unexpected("MATCH, OPTIONAL MATCH, UNWIND, WITH or RETURN")
        self._items()

    def _match(self) -> None:
        self._list(self._pattern)
        self._where()

    def _where(self) -> None:
        if self._accept("WHERE"):
            self._expression()

    def _items(self) -> None:
        self._accept("DISTINCT")
        if self._accept("*"):
            if self._accept(","):
                self._list(self._item)
        else:
            self._list(self._item)
        if self._accept("ORDER"):
            self._expect("BY")
            self._list(self._order)
        if self._accept("SKIP"):
            self._amount()
        if self._accept("LIMIT"):
            self._amount()

    def _item(self) -> None:
        self._expression()
        if self._accept("AS"):
            self._name()

    def _order(self) -> None:
        self._expression()
        self._accept("ASC", "DESC", "ASCENDING", "DESCENDING")

    def _amount(self) -> None:
        if self._next.kind == "number" and self._next.text.isdigit():
            self._at += 1
        else:
            self._parameter()

    # Patterns

    def _pattern(self) -> None:
        self._count("patterns")
        if self._next.kind == "word" and self._ahead(1).text == "=":
            self._name()
            self._expect("=")
        if self._accept("SHORTESTPATH", "ALLSHORTESTPATHS"):
            self._expect("(")
            self._chain()
            self._expect(")")
        else:
            self._chain()

    def _chain(self) -> None:
        self._node()
        while self._is("-", "<-"):
            self._relation()
            self._node()

    def _node(self) -> None:
        self._expect("(")
        if self._next.kind == "word":
            self._name()
        while self._accept(":"):
            self._one_of(LABELS, "label")
        if self._is("{"):
            self._map()
        self._expect(")")

    def _relation(self) -> None:
        arrived = self._accept("<-")
        if not arrived:
            self._expect("-")
        if self._accept("["):
            self._relation_detail()
            self._expect("]")
            self._leave(arrived)
        elif arrived:
            self._expect("-")
        else:
            self._expect("-", "->")

    def _leave(self, arrived: bool) -> None:
        if arrived:
            self._expect("-")
        else:
            self._expect("-", "->")

    def _relation_detail(self) -> None:
        if self._next.kind == "word":
            self._name()
        if self._accept(":"):
            self._one_of(RELATIONS, "relation")
            while self._accept("|"):
                self._accept(":")
                self._one_of(RELATIONS, "relation")
        if self._accept("*"):
            self._count("variable_paths")
            self._hops()
        if self._is("{"):
            self._map()

    def _hops(self) -> None:
        last = ""
        if self._next.kind == "number" and self._next.text.isdigit():
            last = self._take().text
        if self._accept(".."):
            if not (self._next.kind == "number" and self._next.text.isdigit()):
                raise QueryError("A path of variable length needs an upper bound, such as *1..3.")
            last = self._take().text
        if not last:
            raise QueryError("A path of variable length needs an upper bound, such as *1..3.")
        if int(last) > LIMITS.hops:
            raise QueryError(f"A path has at most {LIMITS.hops} relations.")

    def _one_of(self, known: frozenset[str], what: str) -> None:
        name = self._name(f"a {what}")
        if name not in known:
            there = ", ".join(sorted(known))
            raise QueryError(f"There is no {what} {name!r}; there are {there}.")

    # Expressions, the loosest binding first

    def _expression(self) -> None:
        self._nested(self._disjunction)

    def _disjunction(self) -> None:
        self._negation()
        while self._accept("OR", "XOR", "AND"):
            self._negation()

    def _negation(self) -> None:
        while self._accept("NOT"):
            pass
        self._comparison()

    def _comparison(self) -> None:
        self._sum()
        while True:
            if self._accept(*_COMPARISONS) or self._accept("IN", "CONTAINS"):
                self._sum()
            elif self._accept("STARTS", "ENDS"):
                self._expect("WITH")
                self._sum()
            elif self._accept("IS"):
                self._accept("NOT")
                self._expect("NULL")
            else:
                return

    def _sum(self) -> None:
        self._product()
        while self._is("+", "-"):
            if self._take().text == "+":
                self._count("additions")
            self._product()

    def _product(self) -> None:
        self._unary()
        while self._accept("*", "/", "%"):
            self._unary()

    def _unary(self) -> None:
        while self._accept("-"):
            pass
        self._atom()
        while True:
            if self._accept("."):
                self._name("a property")
            elif self._accept("["):
                if not self._accept(".."):
                    self._expression()
                    if not self._accept(".."):
                        self._expect("]")
                        continue
                if not self._is("]"):
                    self._expression()
                self._expect("]")
            elif self._is(":") and self._ahead(1).text in LABELS:
                self._at += 2
            else:
                return

    def _atom(self) -> None:
        token = self._next
        if token.kind in ("string", "number"):
            self._at += 1
        elif token.kind == "parameter":
            self._parameter()
        elif self._accept("TRUE", "FALSE", "NULL"):
            pass
        elif self._is("CASE"):
            self._nested(self._case)
        elif self._is("EXISTS") or (self._is("COUNT") and self._ahead(1).text == "{"):
            self._nested(self._subpattern)
        elif token.word in _QUANTIFIERS:
            self._nested(self._quantified)
        elif self._is("["):
            self._nested(self._list_or_comprehension)
        elif self._is("{"):
            self._map()
        elif self._is("("):
            self._nested(self._brackets)
        elif token.kind == "word" and self._ahead(1).text == "(":
            self._nested(self._function)
        else:
            self._name("an expression")

    def _parameter(self) -> None:
        token = self._next
        if token.kind != "parameter":
            raise self._unexpected("a number or a parameter")
        if token.text[1:] not in self._parameters:
            raise QueryError(f"The parameter {token.text} has no value.")
        self._at += 1

    def _function(self) -> None:
        token = self._take()
        if token.text.lower() not in FUNCTIONS:
            raise QueryError(f"The function {token.text!r} is not accepted.")
        self._expect("(")
        self._accept("DISTINCT")
        if self._accept("*"):
            if token.word != "COUNT":
                raise self._unexpected("an argument")
        elif not self._is(")"):
            self._list(self._expression)
        self._expect(")")

    def _case(self) -> None:
        self._expect("CASE")
        if not self._is("WHEN"):
            self._expression()
        while self._accept("WHEN"):
            self._expression()
            self._expect("THEN")
            self._expression()
        if self._accept("ELSE"):
            self._expression()
        self._expect("END")

    def _quantified(self) -> None:
        self._take()
        self._expect("(")
        self._name()
        self._expect("IN")
        self._expression()
        self._expect("WHERE")
        self._expression()
        self._expect(")")

    def _subpattern(self) -> None:
        """`EXISTS { [MATCH] pattern [WHERE e] }`, and the same with COUNT."""
        self._take()
        self._expect("{")
        self._accept("MATCH")
        self._match()
        self._expect("}")

    def _list_or_comprehension(self) -> None:
        self._expect("[")
        if self._accept("]"):
            return
        if self._next.kind == "word" and self._ahead(1).word == "IN":
            self._name()
            self._expect("IN")
            self._expression()
            self._where()
            if self._accept("|"):
                self._expression()
        else:
            self._list(self._expression)
        self._expect("]")

    def _map(self) -> None:
        self._expect("{")
        if not self._is("}"):
            self._list(self._entry)
        self._expect("}")

    def _entry(self) -> None:
        self._name("a property")
        self._expect(":")
        self._expression()

    def _brackets(self) -> None:
        """`(e)`, or a pattern as a condition: `(a)-[:RELATES]->(b)`."""
        if self._begins_pattern():
            self._count("patterns")
            self._chain()
            return
        self._expect("(")
        self._expression()
        self._expect(")")

    def _begins_pattern(self) -> bool:
        """Whether the bracket is a node with a relation after it."""
        depth, at = 0, self._at
        while True:
            token = self._tokens[at]
            depth += (token.text == "(") - (token.text == ")")
            at += 1
            if depth == 0 or token.kind == "end":
                break
        after, beyond = (
            self._tokens[min(place, len(self._tokens) - 1)].text for place in (at, at + 1)
        )
        return (after == "<-" and beyond in ("[", "-")) or (
            after == "-" and beyond in ("[", "-", "->")
        )
