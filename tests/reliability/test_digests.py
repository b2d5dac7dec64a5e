"""G3: the same events give byte-identical read models, whatever the road."""

from tests.reliability.digests import databases, different, roads


def test_every_road_ends_in_the_same_digest() -> None:
    """Also where events are corrected, people told apart, and tablets shared.

    What was decided depends on what was known then, and so on the order of the log alone.
    """
    with databases() as (sqlite, postgresql):
        ways = roads(2_500, sqlite, postgresql, small=150)
        found = {name: road.run() for name, road in ways.items()}

    assert len(found) == 12
    models = {"pipeline", "stages", "touches", "conversions", "credit", "people", "decided"}
    assert models <= set(found["in order"])
    assert different(found, ways) == {}
    assert len({digests["decided"] for digests in found.values()}) > 1
