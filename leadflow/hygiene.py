"""How clean the data on leads are: what the read models tell, and duplicates beside it."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection

from domain.hygiene import STALE_AFTER, clusters, duplicate_share
from leadflow.app import App
from leadflow.duplicates import LIKELY, Population, people_of
from leadflow.rulings import dismissed_pairs, rulings
from projections.hygiene import LISTS, REQUIRED
from projections.hygiene import hygiene as of_read_models
from projections.pipeline import pipeline


def hygiene(
    app: App,
    connection: Connection,
    required: Sequence[str] = REQUIRED,
    *,
    stale_after: int = STALE_AFTER,
    min_score: int = LIKELY,
    as_of: int | None = None,
    show: str | None = None,
    limit: int = 100,
    duplicates: bool = True,
) -> dict[str, Any]:
    """Return the document of `leadflow hygiene`.

    Leads are duplicates of each other where `leadflow duplicates list` gives them *min_score* or
    more and nobody has dismissed it. *show* is one of `projections.hygiene.LISTS`; *limit* how
    many leads of it. *as_of* is the instant of the read models, microseconds UTC. Without
    *duplicates* these are null: of 100,000 leads the search takes most of a minute, and all else
    two seconds.

    Raises ValueError for another *show*, and for a field that cannot be required.
    """
    if show is not None and show not in LISTS:
        raise ValueError(f"--list: no list {show!r}; there are {', '.join(LISTS)}")
    document = of_read_models(
        connection, required, stale_after=stale_after, as_of=as_of, show=show, limit=limit
    )
    if not duplicates and show != "duplicate":
        return document | {"duplicates": None}
    groups = _duplicates(app, connection, min_score)
    leads = document["leads"]
    share = duplicate_share(leads, groups)
    document["duplicates"] = {
        "min_score": min_score,
        "clusters": leads - sum(len(group) - 1 for group in groups),
        "leads": sum(len(group) for group in groups),
        "rate": None if share is None else float(share),
    }
    if show == "duplicate":
        document["list"] = [{"leads": list(group)} for group in groups[:limit]]
    return document


def _duplicates(app: App, connection: Connection, min_score: int) -> Sequence[Collection[str]]:
    """Return the groups of captured leads that may be one person, the largest first."""
    population = Population(people_of(connection, pipeline.c.captured_at_us.is_not(None)))
    said = dismissed_pairs(rulings(app), population.people.values(), app.rules.current)
    found = ((one.lead, one.other) for one in population.candidates(min_score))
    groups = clusters(pair for pair in found if pair not in said)
    return sorted(groups, key=lambda group: (-len(group), group))
