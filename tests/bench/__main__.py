"""Measure, and print ratios: `python -m tests.bench [ROW...] [--events N] [--json]`."""

import argparse
import sys
from collections.abc import Callable, Sequence

from tests.bench.place import Place, machine, say
from tests.bench.report import Line, as_json, table
from tests.bench.rows import PROFILES, ROWS, profile


def main(words: Sequence[str] | None = None, make: Callable[[], Place] = Place) -> int:
    """Run the benchmarks that are asked for; return 0, also where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(ROWS)}; default: all")
    parser.add_argument(
        "--events", "--journeys", type=int, metavar="N", help="how many; default: by row"
    )
    parser.add_argument("--rounds", type=int, metavar="N", default=3, help="default: 3")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--profile", choices=PROFILES, help="print where the time of a row goes")
    options = parser.parse_args(words)
    unknown = [row for row in options.rows if row not in ROWS]
    if unknown:
        parser.error(f"there is no row {unknown[0]!r}; there are {', '.join(ROWS)}")
    say(machine())
    with make() as place:
        if options.profile:
            events = options.events or ROWS[options.profile][1]
            print("\n\n".join(profile(place, options.profile, events)))
            return 0
        lines: list[Line] = []
        for name in options.rows or ROWS:
            say(name)
            row, events = ROWS[name]
            lines += row(place, options.events or events, options.rounds)
    print(as_json(lines) if options.json else table(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
