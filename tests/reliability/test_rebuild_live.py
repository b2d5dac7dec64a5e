"""A rebuild under load and kills; ``python -m tests.reliability.rebuild_live`` does it for longer."""

from functools import partial
from pathlib import Path

import pytest

from tests.postgres import PostgresServer
from tests.reliability import rebuild_live


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_rebuild_that_is_killed_and_run_again_misleads_no_reader(
    kind: str, folder: Path, sqlite_url: str, postgres_server: PostgresServer
) -> None:
    """Every answer is right for its position, none goes back, and the end is that of one fold."""
    run = partial(rebuild_live.run, seconds=4.0, rate=1_000, history=2_000, seed=7)
    if kind == "sqlite":
        found = run(sqlite_url, folder)
    else:
        with postgres_server.database() as url:
            rebuild_live.prepare(url).dispose()
            found = run(url, folder)

    assert [] == found.wrong
    assert found.same
    assert found.reads
    assert found.rebuilds
