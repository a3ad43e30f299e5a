"""Mutate bytes and JSON values: flips, cuts, odd kinds, missing and repeated names, depth, numbers, nasty strings."""

import copy
import json
import sys

STRINGS = (
    "a\n\\input{/etc/passwd}", "</script><script>alert(1)</script>", "a | b\n| c |", "`x` <!-- ", "\u202eevil\u200b",
    "\x1b[31mred", "\ud800", "x" * 10_000, "", "=1+1", "evil:Net", "evil", "__init__", "__class__", "build", "\x00",
    "../../guard/pwn", "{guard}/pwn", "/etc/passwd", "..", "C:\\x", "{{ 7*7 }}", "%s%n", "é" * 300,
)  # fmt: skip
ODD = (
    None, True, 5, -1, 0, 2**63, 10**30, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), [], {}, [None], [{}],
    [[]], [[1, 2], [3]], {"a": 1}, {"__class__": "x"}, [5, "x"],
)  # fmt: skip


def mutated(value, rng, guard):
    """A copy with one to three changes at random paths."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 2, 3))):
        value = _changed(value, rng, guard)
    return value


def text(value, rng):
    """JSON of a value; now and then a name comes twice in it, or it is nested deep."""
    written = _dumped(value)
    draw = rng.random()
    if draw < 0.04 and written.startswith("{"):
        return '{"schema": 9,' + written[1:]
    if draw < 0.08:
        place = rng.randrange(len(written))
        return written[:place] + "[" * 100_000 + written[place:]
    if draw < 0.1:
        return written.replace("1", "1" * 400, 1)
    return written


def _dumped(value):
    """JSON of a value that changes may have nested deeper than Python's own limit."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20 * limit)
    try:
        return json.dumps(value)
    finally:
        sys.setrecursionlimit(limit)


def bytes_mutated(content, rng):
    """Some bytes flipped, cut, repeated or put in."""
    found = bytearray(content)
    kind = rng.randrange(5)
    if kind == 0:
        return bytes(found[: rng.randrange(len(found) + 1)])
    if kind == 1:
        place = rng.randrange(len(found) + 1)
        return bytes(found[:place] + rng.randbytes(rng.randrange(1, 40)) + found[place:])
    if kind == 2:
        return bytes(found) * rng.randrange(2, 4)
    if kind == 3 and len(found) > 8:
        return rng.choice((0, 1, 2**24 + 1, 2**40, 2**63)).to_bytes(8, "little") + bytes(found[8:])
    for _ in range(rng.randrange(1, 9)):
        if found:
            found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def _paths(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for name, item in items:
        yield from _paths(item, (*path, name))


def _changed(value, rng, guard):
    path = rng.choice(list(_paths(value)))
    if not path:
        return _odd(rng, guard) if rng.random() < 0.1 else value
    parent = value
    for name in path[:-1]:
        parent = parent[name]
    draw = rng.random()
    if draw < 0.2:
        parent.pop(path[-1])
    elif draw < 0.3 and isinstance(parent, dict):
        parent[_string(rng, guard)] = parent[path[-1]]
    elif draw < 0.4 and isinstance(parent[path[-1]], list):
        parent[path[-1]] = parent[path[-1]] * rng.choice((2, 50))
    elif draw < 0.45:
        deep = []
        for _ in range(rng.choice((50, 900))):
            deep = [deep]
        parent[path[-1]] = deep
    else:
        parent[path[-1]] = _odd(rng, guard)
    return value


def _odd(rng, guard):
    return copy.deepcopy(rng.choice(ODD)) if rng.random() < 0.6 else _string(rng, guard)


def _string(rng, guard):
    return rng.choice(STRINGS).replace("{guard}", str(guard))
