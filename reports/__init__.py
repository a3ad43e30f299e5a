"""Read results and render tables, figures and verdicts; nothing here trains. Importing it imports no pandas.

For whoever works in Python, see docs/python.md.
"""

from typing import TYPE_CHECKING

from rssam.on_demand import on_demand

if TYPE_CHECKING:
    from reports.read import read_results, read_table
    from reports.statistics.units import Interval, count_interval, dice_interval
    from reports.tables.frames import TableFrame
    from reports.write import WrittenReport, write_report
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "reports.read": ("read_results", "read_table"),
            "reports.statistics.units": ("Interval", "count_interval", "dice_interval"),
            "reports.tables.frames": ("TableFrame",),
            "reports.write": ("WrittenReport", "write_report"),
        },
    )

__all__ = [
    "Interval",
    "TableFrame",
    "WrittenReport",
    "count_interval",
    "dice_interval",
    "read_results",
    "read_table",
    "write_report",
]
