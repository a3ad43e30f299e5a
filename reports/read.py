"""Read the results of a home as data frames: a line for each run, or a table of the paper with ours beside it."""

from __future__ import annotations

import warnings
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from benchmarks.protocol.recipe import PRECISION_NAMES
from benchmarks.protocol.run_names import run_name
from benchmarks.protocol.tables import TABLES
from benchmarks.results.home import Home, open_home
from benchmarks.results.result import Result
from reports.select.results import Collection, collect
from reports.statistics.units import dice_interval
from reports.tables.assemble import assemble
from reports.tables.frames import PARAMETER_COLUMNS, TableFrame, score
from rssam.errors import UnknownName

COLUMNS = (
    "key", "system", "variant", "dataset", "profile", "split_seed", "seed", "computed_in", "test_images", "dice",
    "dice_low", "dice_high", "jaccard", "precision", "recall", "accuracy", "overall_accuracy", "collapsed",
    *PARAMETER_COLUMNS, "seconds",
)  # fmt: skip
"""Columns of `read_results`."""


def read_results(home: Path | str | Home | None = None) -> pd.DataFrame:
    """Read the finished runs of a home, a row each, in the order of their keys. Without any the frame has no rows.

    The columns:

    - `key`, `system`, `variant` (switches and size), `dataset`, `profile`, `split_seed` and `seed` say what was run.
    - `computed_in` is the precision: fp32, bf16 or fp16. The column `precision` is a score.
    - `test_images` is their number.
    - `dice`, `jaccard`, `precision`, `recall`, `accuracy` and `overall_accuracy` are in 0..1, see `benchmarks.Scores`,
      under the average of the data set.
    - `dice_low` and `dice_high` are the 95 % interval of Dice, NaN without one.
    - `collapsed` says that the run is no better than a constant answer. No table shows its scores.
    - `params_m` (as the paper counts), `total_m` and `trainable_m` are parameters in millions.
    - `seconds` are of training and test.

    Runs on your own data and of your own systems have a row. A warning names each result that is left out: damaged, of
    another version, or on a data set that the home lacks. Failed runs and scored predictions are not read.

    Examples:
        The home of docs/python.md:

        >>> from reports import read_results
        >>> frame = read_results("example")
        >>> frame[["system", "dataset", "profile", "test_images"]].to_string(index=False).splitlines()
        ['system dataset profile  test_images', 'RS-SAM   roads    demo            1']
    """
    collection = _warned(collect(open_home(home).root, published=None))
    rows = [_row(stored.result) for stored in collection.stored]
    return pd.DataFrame(rows, columns=[*COLUMNS])


def read_table(item: str, home: Path | str | Home | None = None) -> tuple[TableFrame, ...]:
    """Read a table of the paper with the results of a home beside it, a frame for each setting that has results.

    Runs share a frame only if recipe, data, start and precision are the same. Without any result there is one frame
    under the paper's setting, whose rows are "not run". Results that come with this version have frames of their own,
    whose `source` is "published". A warning names each result that is left out, as in `read_results`.

    Args:
        item: "table1" to "table7".
        home: the home folder, see `benchmarks.open_home`.

    Raises:
        UserError: There is no such table; the message lists the choices.

    Examples:
        Table 5 on the set of docs/python.md, where one of its rows is run:

        >>> from reports import read_table
        >>> (frame,) = read_table("table5", "example")
        >>> frame.title
        "profile demo, dataset roads; the user's own data: 6 pairs; 32-true"
        >>> frame.rows["state"].tolist()[:4]
        ['not run', 'not run', 'not run', 'not run']
    """
    if item not in TABLES:
        raise UnknownName(f"unknown table {item!r}: choose from {', '.join(TABLES)}")
    return assemble([TABLES[item]], _warned(collect(open_home(home).root))).frames


def _warned(collection: Collection) -> Collection:
    """Return the collection, after a warning for each result that is left out, at the caller of the public function."""
    for sentence in (*collection.damaged, *collection.left_out):
        warnings.warn(sentence, stacklevel=3)
    return collection


def _row(result: Result) -> dict[str, object]:
    name, interval = run_name(result.identity), dice_interval(result)
    return {
        "key": result.key, "system": name.system, "variant": name.variant, "dataset": name.dataset,
        "profile": name.recipe, "split_seed": name.split_seed, "seed": name.seed,
        "computed_in": PRECISION_NAMES[result.identity["precision"]], "test_images": len(result.images),
        **asdict(result.scores), "dice_low": interval.low, "dice_high": interval.high, "collapsed": result.collapsed,
        **{column: score(result, column) for column in PARAMETER_COLUMNS}, "seconds": result.seconds,
    }  # fmt: skip
