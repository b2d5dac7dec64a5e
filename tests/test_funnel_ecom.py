"""Click-stream funnels over a shop's 31,106 events, as DuckDB finds them by joins of its own."""

from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pytest

from domain.funnel import Chain, longest_chain
from projections.funnel_columns import chains

FUNNELS: Final = [
    ("home,catalog,product_view,add_to_cart,purchase", None),
    ("catalog,product_view,add_to_cart,cart,shipping_details,payment_details,purchase", 7_200),
    ("search,product_view,purchase", 86_400 * 7),
    ("product_view,product_view,add_to_cart", 3_600),
    ("promo_page,error_page", 600),
]

Columns = tuple[Any, Any, Any]


@pytest.fixture(scope="module")
def shop(shared_data: Path) -> Columns:
    """Return users, seconds and kinds of event, by user and second; ties by their place."""
    file = shared_data / "ecom" / "ecom.csv.gz"
    with duckdb.connect() as connection:
        found = connection.execute(
            f"""SELECT user_id, epoch("timestamp")::BIGINT AS sec, event, row_number() OVER () AS n
            FROM read_csv('{file}', parallel = false)
            WHERE user_id IS NOT NULL ORDER BY user_id, sec, n"""
        ).fetchnumpy()
    _, users = np.unique(found["user_id"].astype(str), return_inverse=True)
    return users, found["sec"].astype(np.int64), found["event"].astype(str)


def masks(kinds: Any, steps: list[str]) -> Any:
    """Return the steps that each event can be."""
    return sum((kinds == step).astype(np.uint64) << np.uint64(k) for k, step in enumerate(steps))


def by_joins(shop: Columns, steps: list[str], window: int | None) -> list[int]:
    """Return how many users get to each step: every start followed step by step in SQL.

    Events have a number, so that a step listed twice takes two.
    """
    users, times, kinds = shop
    with duckdb.connect() as connection:
        connection.register(
            "columns",
            {"u": users, "sec": times, "kind": kinds, "n": np.arange(len(users))},
        )
        connection.execute("CREATE TABLE e AS SELECT * FROM columns")
        parts = [
            f"s0 AS (SELECT u, sec AS start, sec, [n] AS taken FROM e WHERE kind = '{steps[0]}')"
        ]
        for k, step in enumerate(steps[1:], 1):
            limit = "" if window is None else f"AND e.sec <= s.start + {window}"
            parts.append(
                f"""s{k} AS (SELECT s.u, s.start, min(e.sec) AS sec,
                list_append(s.taken, arg_min(e.n, (e.sec, e.n))) AS taken
                FROM s{k - 1} s JOIN e ON e.u = s.u AND e.kind = '{step}' AND e.sec >= s.sec {limit}
                AND NOT list_contains(s.taken, e.n) GROUP BY s.u, s.start, s.taken)"""
            )
        counts = [f"(SELECT count(DISTINCT u) FROM s{k})" for k in range(len(steps))]
        row = connection.execute(f"WITH {', '.join(parts)} SELECT {', '.join(counts)}").fetchone()
    assert row is not None
    return list(row)


@pytest.mark.parametrize("written, window", FUNNELS)
def test_as_many_users_get_as_far_as_in_duckdb(
    shop: Columns, written: str, window: int | None
) -> None:
    steps = written.split(",")
    users, times, kinds = shop

    found = chains(users, times, masks(kinds, steps), len(steps), window=window)

    assert by_joins(shop, steps, window) == found.reached(len(steps))


@pytest.mark.parametrize("written, window", FUNNELS)
@pytest.mark.parametrize("mode", ["ordered", "strict", "strict_all", "any"])
def test_both_roads_take_the_same_events_of_each_user(
    shop: Columns, written: str, window: int | None, mode: Any
) -> None:
    steps = written.split(",")
    users, times, kinds = shop
    found = chains(users, times, masks(kinds, steps), len(steps), window=window, mode=mode)
    taken = {
        user: picks[picks >= 0].tolist()
        for user, picks in zip(found.subjects.tolist(), found.picks, strict=True)
    }
    bounds = np.searchsorted(users, np.arange(601)).tolist()

    for user in range(0, 600, 6):
        low, high = bounds[user], bounds[user + 1]
        events = list(zip(times[low:high].tolist(), kinds[low:high].tolist(), strict=True))
        chain: Chain = longest_chain(events, steps, window=window, mode=mode)
        assert [low + pick for pick in chain.picks] == taken.get(user, [])
