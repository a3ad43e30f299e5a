"""Kinds are declared as data, and one checker names the first fault with its place."""

import pytest

from rssam.kinds import COUNT, FIGURE, LINE, NUMBER, OPTION, PLAIN, VALUE, Each, fault, one_of

KIND = {
    "name": LINE,
    "count": COUNT,
    "loss?": FIGURE,
    "size": (None, {"height": COUNT}),
    "lists": [{"a": NUMBER}],
    "options": Each(OPTION, VALUE, most=2),
    "rule": one_of("random", "blocked"),
}
GOOD = {"name": "a", "count": 3, "size": None, "lists": [{"a": 0.5}], "options": {"width": [1, 2]}, "rule": "random"}


@pytest.mark.parametrize(
    "more", [{}, {"loss": float("nan")}, {"size": {"height": 3, "other": ["x"]}}, {"later": {"a": [1, "b"]}}]
)
def test_good_values(more):
    assert fault({**GOOD, **more}, KIND) == ""


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": "a\nb"}, r"name: expected one printable line of at most 500 characters, found 'a\\nb'"),
        ({"name": "a\u202eb"}, "name: expected one printable line"),
        ({"name": "x" * 501}, "name: expected one printable line"),
        ({"count": True}, "count: expected a whole number"),
        ({"count": 3.0}, "count: expected a whole number"),
        ({"loss": "x"}, "loss: expected a number, found 'x'"),
        ({"size": {"height": "x"}}, "size.height: expected a whole number"),
        ({"size": 3}, "size: expected an object, found 3"),
        ({"lists": [{"a": 1}, {"a": float("inf")}]}, "an item of lists.a: expected a finite number, found inf"),
        ({"lists": {}}, "lists: expected a list, found an object"),
        ({"options": {"__class__": 1}}, "a name in options: expected the name of a field"),
        ({"options": {"class": 1}}, "a name in options: expected the name of a field"),
        ({"options": {"width": {}}}, "options.width: expected a line, a number, or a list of such, found an object"),
        ({"options": {"a": 1, "b": 1, "c": 1}}, "options: expected at most 2 fields, found 3"),
        ({"rule": ["random"]}, "rule: expected one of random, blocked, found a list"),
        ({"later": "a\nb"}, "it has other fields"),
        ({"later": [[]] * 30_000}, "it has other fields"),
    ],
)
def test_the_first_fault_is_named(more, words):
    assert fault({**GOOD, **more}, KIND).startswith(words.replace("\\\\", "\\"))


def test_a_field_that_is_missing_and_values_that_are_no_object():
    assert fault({name: GOOD[name] for name in GOOD if name != "rule"}, KIND) == "rule is missing"
    assert fault([], KIND) == "it: expected an object, found a list"
    assert fault({"a": float("nan")}, PLAIN).startswith("it: expected lines and numbers")
