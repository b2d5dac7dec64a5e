"""Turn the rows of a CSV file into events of the vocabulary, by a map.

The events of a row come together or not at all: a row with a cell that cannot be read gives none,
and is named with line, column, value and the mend, while the rows around it go through. The same
row gives the same events with the same ids, so that importing a file twice adds nothing.
"""

from collections.abc import Iterator
from pathlib import Path

from leadflow.importer.mapping import MapError, Mapping, MapProblem, load_mapping
from leadflow.importer.plan import Event, Plan, RowEvents
from leadflow.importer.report import ColumnReport, EventReport, Report, dry_run
from leadflow.importer.rows import BadRow, CsvError

__all__ = [
    "BadRow",
    "ColumnReport",
    "CsvError",
    "Event",
    "EventReport",
    "MapError",
    "MapProblem",
    "Mapping",
    "Report",
    "RowEvents",
    "dry_run",
    "load_mapping",
    "read_events",
]


def read_events(csv_path: Path, mapping: Mapping) -> Iterator[RowEvents]:
    """Return what each row of *csv_path* becomes, in the order of the file, in constant memory.

    Raises CsvError where the file or a lookup cannot be read, and MapError where the map names a
    column that there is not: both before the first row.
    """
    plan = Plan(csv_path, mapping)
    return map(plan.convert, plan.rows())
