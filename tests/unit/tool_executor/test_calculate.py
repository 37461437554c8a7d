"""The tool `calculate`: its grammar, its decisions, its bounds."""

from __future__ import annotations

import operator
import time
import tracemalloc
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from motet.errors import FaultError
from motet.messages import CalculateRequest, CalculateResult, Fault
from motet_tool_executor.calculate import calculate
from motet_tool_executor.expression import FUNCTIONS, MAX_CHARACTERS, MAX_DEPTH, evaluate
from motet_tool_executor.tokens import ExpressionError


def run(expression: str, **variables: str) -> CalculateResult:
    return calculate(CalculateRequest(expression=expression, variables=variables))


def fault_of(expression: str, **variables: str) -> Fault:
    with pytest.raises(FaultError) as caught:
        run(expression, **variables)
    assert caught.value.fault.type == "invalid_input"
    assert not caught.value.fault.retryable
    return caught.value.fault


def outcome_of(request: CalculateRequest) -> str:
    """The type of the fault that the request ends in, or `ok`."""
    try:
        calculate(request)
    except FaultError as error:
        return error.fault.type
    return "ok"


@pytest.mark.parametrize(
    "expression, value",
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("7 // 2", "3"),
        ("-7 // 2", "-4"),
        ("7 / 2", "3.5"),
        ("0.1 + 0.2", "0.3"),
        ("2 ** 3 ** 2", "512"),
        ("2 ^ 10", "1024"),
        ("-2 ** 2", "-4"),
        ("2 ** -1", "0.5"),
        ("--5", "5"),
        ("+5 - -5", "10"),
        ("10 - 4 - 3", "3"),
        ("100 / 10 / 5", "2"),
        ("1e3 + 1", "1001"),
        (".5 + 5.", "5.5"),
        ("6 \u00d7 7 \u00f7 3 \u2212 1", "13"),
        ("1,250.50 * 2", "2501"),
        ("$1,250 * 3", "3750"),
        ("$3.2 million / 4", "800000"),
        ("2 Billion / 1 million", "2000"),
        ("(1,250)", "1250"),
        ("sqrt(16)", "4"),
        ("27 ** (1/3)", "3"),
        ("abs(-3)", "3"),
        ("floor(-1.5)", "-2"),
        ("ceil(1.2)", "2"),
        ("round(2.5)", "3"),
        ("round(2.345, 2)", "2.35"),
        ("max(1, 250)", "250"),
        ("min(3, 1, 2)", "1"),
        ("sum(1, 2, 3)", "6"),
        ("sum([1, 2, 3])", "6"),
        ("mean([1, 2], 3)", "2"),
        ("CHF 3'480.25 * 4", "13921"),
        ("\u20ac 7.300,00 / 2", "3650"),
        ("8200 SEK * 12", "98400"),
        ("2,5 * 4", "10"),
        ("max(2,5)", "5"),
        ("round(456.789,2)", "456.79"),
        ("6\u202f400 / 8", "800"),
        ("2_500 + 1", "2501"),
        ("7\u00b2 + 2\u207b\u00b9", "49.5"),
        ("\u221a81 + 1", "10"),
        ("6 x 7", "42"),
        ("5 \u2219 4 \u2215 2", "10"),
        ("9 \u00d7 9 =", "81"),
        ("avg(1, 2)", "1.5"),
        ("median(9, 1, 5)", "5"),
        ("median(4, 1, 2, 3)", "2.5"),
        ("count(4, 4, 4)", "3"),
        ("pow(2, 10)", "1024"),
        ("mod(17, 5)", "2"),
        ("log10(1000)", "3"),
        ("log2(1/8)", "-3"),
        ("log(81, 3)", "4"),
        ("exp(0) + ln(1)", "1"),
    ],
)
def test_exact_values(expression: str, value: str) -> None:
    result = run(expression)
    assert (result.value, result.exact) == (value, True)
    assert Fraction(result.fraction or "") == Fraction(value)


def test_a_quotient_that_does_not_end_is_rounded_and_given_as_a_fraction() -> None:
    result = run("1 / 3")
    assert result.value == "0.3333333333333333333333333333"
    assert (result.exact, result.fraction) == (False, "1/3")


def test_an_irrational_value_has_28_digits_and_no_fraction() -> None:
    result = run("sqrt(2)")
    assert result.value == "1.414213562373095048801688724"
    assert (result.exact, result.fraction) == (False, None)


def test_variables_are_filled_in() -> None:
    result = run(
        "(new - old) / old * rate - debt",
        new="$1,250 million",
        old="980 million",
        rate="100%",
        debt="(5)",
    )
    assert result.expression == "(1250000000 - 980000000) / 980000000 * 1 - (-5)"
    assert result.fraction == "517/98"


def test_numbers_given_as_numbers_are_read_as_text() -> None:
    request = CalculateRequest.model_validate({"expression": 5, "variables": {"a": 0.1, "b": 2}})
    assert request.expression == "5"
    assert request.variables == {"a": "0.1", "b": "2"}


def test_constants_are_as_exact_as_what_is_shown() -> None:
    assert run("pi * 2^2").value == "12.56637061435917295385057353"
    assert run("\u03c0 * 4").value == run("pi * 2^2").value
    assert run("ln(e ** 2)").value == "2"
    assert run("exp(1)").value == run("e").value == "2.718281828459045235360287471"
    assert run("pi", pi="3").value == "3"


def test_a_letter_between_values_is_a_sign_unless_it_is_a_variable() -> None:
    assert run("2 x y", y="4").value == "8"
    assert "operator" in fault_of("2 x y", x="3", y="4").message


@pytest.mark.parametrize(
    "expression",
    [
        "2023-11-05",
        "05.11.2023",
        "11/05/2023",
        "2023-11-05 - 2022-11-05",
        "(2023-11-05)",
        "2023-11-05T08:30",
        "2023-04",
        "5/11/2023 + 1",
        "5 November 2023 - 5 October 2023",
    ],
)
def test_dates_are_no_calculations(expression: str) -> None:
    assert "with the tool `dates`" in fault_of(expression).message


@pytest.mark.parametrize(
    "expression, value",
    [("2023-11", "2012"), ("2023 - 11 - 5", "2007"), ("12/4/3", "1"), ("2023-1105-1", "917"),
     ("1250-98-1", "1151"), ("31/2", "15.5")],
)  # fmt: skip
def test_what_only_looks_like_a_date_is_computed(expression: str, value: str) -> None:
    assert run(expression).value == value


def test_a_language_is_that_of_variables_and_words() -> None:
    request = CalculateRequest(
        expression="a + 2 Millionen", variables={"a": "1.250"}, language="de"
    )
    assert calculate(request).value == "2001250"
    with pytest.raises(FaultError, match="BCP 47"):
        calculate(CalculateRequest(expression="a", variables={"a": "1"}, language="xx"))


# Decisions.


@pytest.mark.parametrize(
    "expression, value",
    [
        ("200 * 10%", "20"),
        ("200 * (1 + 10%)", "220"),
        ("1 + 10%", "1.1"),
        ("1 - 10%", "0.9"),
        ("100% - 20%", "0.8"),
        ("50% - 20%", "0.3"),
        ("5 + 0%", "5"),
        ("(20%)", "0.2"),
        ("max(5%, 3%)", "0.05"),
        ("17 % 5", "2"),
        ("17%5", "2"),
        ("17 % (5)", "2"),
        ("-7 % 3", "2"),
    ],
)
def test_percent_or_remainder(expression: str, value: str) -> None:
    assert run(expression).value == value


@pytest.mark.parametrize(
    "expression", ["200 + 10%", "200 - 10%", "price + tax", "50%-20", "5 % -2", "20% price"]
)
def test_percentages_with_two_readings_are_refused(expression: str) -> None:
    assert "write" in fault_of(expression, price="200", tax="19%").message


def test_a_thousands_separator_among_arguments_is_refused() -> None:
    message = fault_of("max(1,250)").message
    assert "write `1250` or `1, 250`" in message
    assert run("max(1250, 300)").value == "1250"


def test_currencies_are_not_mixed() -> None:
    assert "USD and EUR" in fault_of("$5 + €3").message
    assert "USD and GBP" in fault_of("a + b", a="$5", b="£3").message
    assert run("a + b", a="$5", b="3 USD").value == "8"


# Mistakes, with their position.


@pytest.mark.parametrize(
    "expression, position, words",
    [
        ("1 +", 3, "number is missing, at the end"),
        ("* 2", 0, "number is missing before `*`"),
        ("2 3", 2, "operator such as * is missing before `3`"),
        ("2(3)", 1, "operator such as * is missing"),
        ("x = 3", 2, "'=' has no meaning"),
        ("(1 + 2", 0, "never closed with `)`"),
        ("1 + 2)", 5, "`)` is not expected"),
        ("1,2,3", 1, "comma"),
        ("1 250 * 2", 2, "operator such as * is missing before `250`"),
        ("log(100)", 0, "write ln(x), log10(x) or log(x, 2)"),
        ("ln(0)", 0, "above zero"),
        ("median()", 0, "takes 1 or more arguments"),
        ("\u20ac", 1, "number is missing behind the currency"),
        ("sqrt", 0, "needs its arguments"),
        ("sqrt()", 0, "takes 1 argument, not 0"),
        ("round(1, 2, 3)", 0, "takes 1 to 2 arguments, not 3"),
        ("sum()", 0, "takes 1 or more arguments, not 0"),
        ("round(1, 0.5)", 0, "whole number of decimals"),
        ("variance(1, 2)", 0, "not a function"),
        ("1 + revenu", 4, "Did you mean `revenue`?"),
        ("10 / (5 - 5)", 3, "division by zero"),
        ("sqrt(0 - 4)", 0, "negative number"),
        ("__import__('os')", 11, "no meaning"),
        ("x.y", 1, "no meaning"),
        ("1 if x else 2", 2, "operator such as * is missing before `if`"),
        ("[1]", 0, "number is missing before `[`"),
    ],
)
def test_a_mistake_is_named_with_its_position(expression: str, position: int, words: str) -> None:
    fault = fault_of(expression, x="1", revenue="2")
    assert words.lower() in fault.message.lower()
    assert fault.detail["position"] == position


@pytest.mark.parametrize("value", ["", "about 5", "3,2,1", "9" * 201, "1e1001"])
def test_a_variable_that_is_no_number_is_named(value: str) -> None:
    fault = fault_of("revenue", revenue=value)
    assert "`revenue`" in fault.message
    assert len(fault.message) < 400


# Hostile input: bounded time and memory, by what is refused before it is computed.

HOSTILE = {
    "power tower": "9**9**9",
    "taller tower": "9**9**9**9**9",
    "long tower": "2**" * 300 + "2",
    "tower of roots": "9**0.1" + "**1.1" * 150,
    "negative tower": "9**-9**9",
    "exponents": "1.0000001**1e15 * 1.0000001**1e16",
    "literal exponent": "1e999999",
    "squares": "(" * 40 + "9" + ")**9" * 40,
    "product": "*".join(["9" * 20] * 47),
    "harmonic": "+".join(f"1/{n}" for n in range(101, 260)),
    "remainders": "9" * 450 + " % " + "7" * 450,
    "nesting": "(" * 1000,
    "nested calls": "abs(" * 250,
    "nested lists": "sum([" * 200,
    "signs": "-" * 999 + "1",
    "sums": "1+" * 499 + "1",
    "percents": "1" + "%" * 999,
    "digits": "9" * 1000,
    "decimals": "0." + "9" * 998,
    "names": "a" * 1000,
    "roots": "sqrt(" * 45 + "2" + ")" * 45,
    "commas": "max(" + "1," * 490 + "1)",
    "spaces": "1" + " " * 998 + "x",
}


@pytest.mark.parametrize("expression", HOSTILE.values(), ids=HOSTILE)
def test_hostile_expressions_end_soon_and_stay_small(expression: str) -> None:
    assert len(expression) <= MAX_CHARACTERS
    tracemalloc.start()
    started = time.process_time()
    try:
        text = run(expression).value
    except FaultError as error:
        text = error.fault.message
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(text) <= 1100
    assert time.process_time() - started < 2  # tracing included; about 0.02 without
    assert peak < 4 << 20


def test_a_million_digits_are_refused_before_they_are_read() -> None:
    with pytest.raises(ValidationError):
        CalculateRequest(expression="9" * 1_000_000)
    with pytest.raises(ExpressionError, match="1,000 characters"):
        evaluate("9" * 1_000_000)
    assert "200 characters" in fault_of("a", a="9" * 1_000_000).message


def test_filling_in_variables_stays_bounded() -> None:
    result = run("+".join(["a"] * 500), a="1." + "9" * 198)
    assert len(result.expression) < 500 * 250


def test_nesting_up_to_the_limit_works() -> None:
    inside = MAX_DEPTH - 1
    assert run("(" * inside + "1" + ")" * inside).value == "1"
    assert "nested" in fault_of("(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH).message


# Properties.

OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
leaves = st.decimals(min_value=0, max_value=10**6, places=3).map(
    lambda number: (f"{number:f}", Fraction(number))
)


def branches(children):
    def combined(parts):
        (left, a), sign, (right, b) = parts
        value = None if a is None or b is None or (sign in "//%" and b == 0) else (a, sign, b)
        if value is not None:
            value = Fraction(OPERATORS[sign](a, b))
        return f"({left}) {sign} ({right})", value

    binary = st.tuples(children, st.sampled_from(sorted(OPERATORS)), children).map(combined)
    negated = children.map(lambda one: (f"-({one[0]})", None if one[1] is None else -one[1]))
    return binary | negated


@given(st.recursive(leaves, branches, max_leaves=12))
def test_random_trees_agree_with_fractions(tree: tuple[str, Fraction | None]) -> None:
    expression, expected = tree
    if expected is None:
        with pytest.raises(ExpressionError, match="zero"):
            evaluate(expression)
    else:
        assert evaluate(expression).value == expected


@given(st.lists(st.sampled_from("+-*"), min_size=1, max_size=12), st.data())
def test_precedence_agrees_with_python(signs: list[str], data: st.DataObject) -> None:
    numbers = data.draw(
        st.lists(
            st.integers(min_value=0, max_value=99), min_size=len(signs) + 1, max_size=len(signs) + 1
        )
    )
    expression = str(numbers[0]) + "".join(
        f" {sign} {number}" for sign, number in zip(signs, numbers[1:], strict=True)
    )
    assert evaluate(expression).value == eval(expression)


pieces = st.sampled_from(
    [*"0123456789.,()[]+-*/%^ eE$€", "**", "//", "1e9", "x", "million", *FUNCTIONS, "(", ")"]
)


@given(
    st.text(max_size=200) | st.lists(pieces, max_size=60).map("".join),
    st.dictionaries(st.text(max_size=5), st.text(max_size=30), max_size=3),
)
def test_any_text_is_computed_or_an_invalid_input(
    expression: str, variables: dict[str, str]
) -> None:
    request = CalculateRequest.model_construct(expression=expression, variables=variables)
    assert outcome_of(request) in ("ok", "invalid_input")
