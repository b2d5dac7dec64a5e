"""Both databases give the same answers about the pipeline."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine

from domain.stage_graph import Stay
from domain.stages import STAGES
from projections.channel_matrix import channel_matrix
from projections.handoffs import handoffs
from projections.pipeline_now import summary
from projections.pipeline_over_time import over_time
from projections.schema import read_models
from projections.setup import create
from projections.stage_graph import stage_graph
from tests.stage_histories import NOW, Life, fill, filled


def population() -> list[Life]:
    """Return leads with all that the questions look at, the same ones every time."""
    random = Random(7)
    made = []
    for n in range(60):
        at = first = random.randrange(200)
        stays: list[Stay] = []
        for _ in range(random.randrange(6)):
            following = at + random.choice([0, 5, 60])
            stays.append(Stay(random.choice(STAGES), 1, at, following))
            at = following
        if stays:
            stays[-1] = stays[-1]._replace(exited_at=None)
        units = random.choice([None, -7, 100, 2**62])
        closed = random.choice([None, first + 300])
        status = "open" if closed is None else random.choice(["won", "lost"])
        made.append(
            Life(
                stays,
                random.choice(["email", "event", None]),
                first,
                at,
                [(first + 40, "no budget")] if n % 3 else [],
                [(status, first, closed, units, None if units is None else "EUR")],
            )
        )
    return made


@pytest.fixture
def both(database_url: str) -> Any:
    engine = create_engine(database_url)
    create(engine)
    yield fill(read_models(engine), population()), filled(population())
    engine.dispose()


QUESTIONS: dict[str, Callable[[Connection], Any]] = {
    "pipeline": lambda connection: summary(connection, "channel", NOW, stuck=9),
    "over time": lambda connection: over_time(connection, "day", "channel", as_of=NOW),
    "graph": lambda connection: stage_graph(connection, "channel", since=20, as_of=NOW),
    "handoffs": lambda connection: handoffs(connection, "reason", as_of=NOW, ignored_after=99),
    "channels": lambda connection: channel_matrix(connection, until=190),
}


def test_the_answers_do_not_depend_on_the_database(both: tuple[Engine, Engine]) -> None:
    found = []
    for engine in both:
        with engine.connect() as connection:
            found.append({name: ask(connection) for name, ask in QUESTIONS.items()})

    assert found[1] == found[0]
    assert json.loads(json.dumps(found[0])) == found[0], "an answer is a JSON document"
    assert found[0]["pipeline"]["stuck"]["rows"] != []
