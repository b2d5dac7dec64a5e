"""Record what is new in the corpus: ``python -m tests.corpus --write``."""

import argparse
import re
import sys
from pathlib import Path
from typing import Final

from leadflow.policies import load_policy
from leadflow.store import open_store
from tests.corpus.logs import HERE, Line, write_log
from tests.corpus.record import Refused, write

MOST: Final = 500
"""Lines of one log: people have to read them."""


def main(arguments: list[str], folder: Path = HERE) -> int:
    """Run the command; return its exit code: 1 where something recorded would have changed."""
    parser = argparse.ArgumentParser("python -m tests.corpus", description=__doc__)
    parser.add_argument("--write", action="store_true", required=True, help="record what is new")
    parser.add_argument(
        "--add", metavar="NAME", help="make a new log of that name from the events of --from"
    )
    parser.add_argument("--from", dest="database", metavar="URL", help="the event store to copy")
    parser.add_argument(
        "--policy", metavar="FILE", help="the policy that its workers had (default: the default)"
    )
    parser.add_argument("--about", help="what the new log shows, in a line")
    parser.add_argument(
        "--judged-anew",
        action="store_true",
        help="facts are meant to lead to something else: record scores and what occurred anew",
    )
    given = parser.parse_args(arguments)
    if given.add is not None:
        if not (given.database and given.about) or not re.fullmatch(r"\w+", given.add):
            parser.error("--add takes a plain name, --from and --about")
        copy(given.database, given.add, given.policy, given.about, folder)
    try:
        done = write(folder, judged_anew=given.judged_anew)
    except Refused as refused:
        print(f"Refused; nothing was recorded.\n{refused}", file=sys.stderr)
        return 1
    print("\n".join(done) or "Nothing is new.")
    return 0


def copy(database: str, name: str, policy_file: str | None, about: str, folder: Path) -> None:
    """Make a log of everything in the event store at *database*."""
    policy = load_policy(policy_file)
    store = open_store(database)
    try:
        rows = store.rows_after(0, MOST + 1)
    finally:
        store.close()
    if len(rows) > MOST:
        raise SystemExit(
            f"{database} holds more than {MOST} events; a log of the corpus shows one thing"
        )
    lines = [
        Line(stream, version, topic, state.decode()) for _, stream, version, topic, state in rows
    ]
    write_log(folder, name, {"version": policy.version, "document": policy.document}, about, lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
