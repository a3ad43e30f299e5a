"""Which values become black and white: one decision for all files, or a refusal that lists them."""

import numpy as np
import pytest

from rssam.errors import UserError
from rssam.value_range import BYTES, UNIT, RangeUnknown, Sample, ValueRange, decide, percentiles


def sample(name, kind, ends=None, values=None):
    return Sample(name, frozenset({kind}), ends, values)


BYTE = sample("byte.tif", "uint8")
EMPTY = sample("empty.tif", "float32")
DEEP = sample("deep.tif", "uint16", (120, 2900))
REAL = sample("real.tif", "float32", (0, 255))
UNITS = sample("units.tif", "float32", (0, 0.9))
DARK = sample("dark.tif", "uint16", (3, 250))
NEGATIVE = sample("radar.tif", "float32", (-21.5, 3.25))


@pytest.mark.parametrize(
    ("samples", "expected", "note"),
    [
        ([BYTE], BYTES, None),
        ([EMPTY], BYTES, None),
        ([BYTE, EMPTY], BYTES, None),
        ([REAL], BYTES, "values of float32 within 0..255 are taken as 8 bits"),
        ([BYTE, DARK, REAL], BYTES, "values of float32 and uint16 within 0..255"),
        ([UNITS, EMPTY], UNIT, "values of float32 within 0..1"),
        ([sample("black.tif", "float32", (0, 0)), REAL], BYTES, "within 0..255"),
        ([sample("black.tif", "float32", (0, 0)), UNITS], UNIT, "within 0..1"),
    ],
)
def test_what_values_show(samples, expected, note):
    decision = decide(samples)
    assert decision.range == expected
    assert decision.note is None if note is None else note in decision.note


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([DEEP], r"found deep.tif \(uint16 from 120 to 2900\)\. .*--scale MIN,MAX .*--scale auto"),
        ([BYTE, NEGATIVE, DEEP], r"found radar.tif \(float32 from -21\.5 to 3\.25\), deep.tif"),
        ([UNITS, REAL], r"differ in their range .*within 0\.\.255 real\.tif .*; within 0\.\.1 units\.tif .* apart"),
        ([UNITS, BYTE], "differ in their range"),
        ([DEEP] * 30, "and 20 more"),
    ],
)
def test_what_they_do_not_show_is_refused(samples, words):
    """Each file was stretched by its own percentiles: neighbouring sheets of one flight had different maps."""
    with pytest.raises(RangeUnknown, match=words):
        decide(samples)


def test_the_declared_range_of_the_training_data_is_used():
    recorded = ValueRange.alike(0, 3000)
    assert decide([DEEP, UNITS, EMPTY], recorded).range == recorded
    assert "trained on values of 0 to 3000" in decide([DEEP], recorded).note
    assert decide([BYTE], recorded).range == BYTES
    assert "taken as they are" in decide([BYTE], recorded).note
    with pytest.raises(RangeUnknown, match=r"of the files 8 bits have byte.tif .*; others deep.tif"):
        decide([BYTE, DEEP], recorded)


def test_percentiles_are_of_all_files_and_without_borders_of_zeros():
    """A border of zeros, which no tag declares, was the 2nd percentile: the scene came out pale."""
    rng = np.random.default_rng(0)
    first, second = rng.uniform(400, 900, (3, 5000)), rng.uniform(700, 2000, (3, 5000))
    first[0, :9] = 0  # a value of 0 beside others is one
    border = np.zeros((3, 7000))
    made = percentiles(
        [
            sample("a", "uint16", (0, 900), np.concatenate([border, first], axis=1)),
            sample("b", "uint16", (700, 2000), second),
            EMPTY,
        ]
    )
    low, high = np.percentile(np.concatenate([first, second], axis=1), (2, 98), axis=1)
    assert made.range == ValueRange(tuple(low), tuple(high))
    assert "percentiles of a sample of all files" in made.note
    assert percentiles([sample("c", "uint16", (0, 0), border)]).range == BYTES
    flat = percentiles([sample("d", "uint16", (9, 9), np.full((3, 5), 9.0))]).range
    assert flat.to_bytes(np.full((3, 1, 1), 9)).tolist() == [[[0]]] * 3


@pytest.mark.parametrize("ends", [(5, 5), (6, 5), (0, float("inf")), (float("nan"), 1)])
def test_a_range_has_a_lower_and_an_upper_end(ends):
    with pytest.raises(UserError, match="MIN below MAX"):
        ValueRange.alike(*ends)


def test_what_is_clipped_is_counted():
    made, pixels = ValueRange.alike(100, 200), np.array([99, 100, 150, 200, 201, 65535], np.uint16).reshape(1, 1, 6)
    pixels = pixels.repeat(3, axis=0)
    assert made.to_bytes(pixels)[0, 0].tolist() == [0, 0, 128, 255, 255, 255]
    assert made.count_outside(pixels, np.array([[True, True, True, True, True, False]])) == 6
    real = np.array([np.nan, -np.inf, np.inf, 1e300], np.float64).reshape(1, 1, 4).repeat(3, axis=0)
    assert made.to_bytes(real)[0, 0].tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize("text", ["16777216,16777217", "0,1e308", "-3e38,3e38", "1e-320,2e-320"])
def test_ends_that_32_bits_do_not_tell_apart_are_refused(text):
    """All pixels became black without a word."""
    with pytest.raises(UserError, match="ends that 32 bits tell apart"):
        ValueRange.parsed(text)
