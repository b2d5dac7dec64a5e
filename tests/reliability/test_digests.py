"""G3: the same events give byte-identical read models, whatever the road."""

from tests.reliability.digests import databases, roads


def test_every_road_ends_in_the_same_digest() -> None:
    with databases() as (sqlite, postgresql):
        found = {name: run() for name, run in roads(2_500, sqlite, postgresql, small=150).items()}

    assert len(found) == 12
    expected = found["in order"]
    assert {"pipeline", "stages", "touches", "conversions", "credit", "people"} <= set(expected)
    assert {} == {name: digests for name, digests in found.items() if digests != expected}
