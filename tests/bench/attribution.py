"""The attribution row: rules and a chain over many journeys, beside ChannelAttribution and others.

All look at the same seeded journeys in the same run. ChannelAttribution is given its paths as text,
the only form it takes, made before its clock runs; DuckDB and polars read a Parquet file of touches
and do the three rules that are simple in them; ours is given columns of touches. What several
answer must be the same within a millionth. ChannelAttribution simulates its chain where ours is
exact, so that the chains are compared by time alone, and ours with a solution in floating point.

Each is imported where it works: what is imported here would be in the memory of every other job.
"""

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from importlib import import_module
from itertools import pairwise
from math import sqrt
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any, Final

import numpy as np

from domain.attribution import NANO, Attribution
from tests.bench.report import Line, rates
from tests.bench.took import Took

CHANNELS: Final = ("direct", *(f"channel_{n}" for n in range(1, 12)))
LONGEST: Final = 30
STOPS: Final = 0.3
"""How probable each touch is to be the last: 3.3 touches a journey on average."""

DAY: Final = 86_400_000_000
RULES: Final = (
    "first",
    "last",
    "last_non_direct",
    "linear",
    "time_decay",
    "time_decay_stepped",
    "u_first_last",
    "j",
    "inverse_j",
)
SIMPLE: Final = ("first", "last", "linear")
CENTS: Final = 100
THREADS: Final = 2


def write_journeys(path: Path, journeys: int) -> None:
    """Write so many seeded journeys: as columns, and their touches as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(20_261_122)
    lengths = np.minimum(random.geometric(STOPS, journeys), LONGEST)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    journey = np.repeat(np.arange(journeys), lengths)
    at = journey * 90 * DAY + random.integers(0, 90 * DAY, int(offsets[-1]))
    at.sort()
    shares = 1 / np.arange(1, len(CHANNELS) + 1)
    codes = random.choice(len(CHANNELS), len(at), p=shares / shares.sum()).astype(np.int32)
    amount = random.integers(100, 1_000_000, journeys)
    converts = random.random(journeys) < 0.2
    np.savez(path, offsets=offsets, at=at, codes=codes, amount=amount, converts=converts)
    place = np.arange(len(at)) - np.repeat(offsets[:-1], lengths)
    touches = {
        "journey": journey,
        "place": place,
        "touches": np.repeat(lengths, lengths),
        "channel": pa.DictionaryArray.from_arrays(codes, list(CHANNELS)),
        "amount": np.repeat(amount, lengths),
    }
    pq.write_table(pa.table(touches), path.with_suffix(".parquet"))


def _columns(path: str, *, nulls: bool) -> Any:
    """Return the journeys of the file; all of them converted, or those that did alone."""
    from projections.columns import MISSING
    from projections.journeys import Journeys

    with np.load(path) as saved:
        offsets, at, codes = saved["offsets"], saved["at"], saved["codes"]
        amount, converts = saved["amount"], saved["converts"]
    size = len(amount)
    return Journeys(
        offsets=offsets,
        at=at,
        codes=codes,
        values=CHANNELS,
        channels=codes,
        channel_names=CHANNELS,
        converted=converts if nulls else np.ones(size, np.bool_),
        count=np.ones(size, np.int64),
        conversion_at=at[offsets[1:] - 1] + DAY,
        amount=amount,
        currency=np.zeros(size, np.int32),
        currencies=("EUR",),
        moments=np.full((3, size), MISSING),
        unit=np.arange(size),
    )


def of_columns(path: str) -> Took:
    """Credit conversions and money by nine rules, of columns."""
    from projections.attribution_columns import Columns

    journeys = _columns(path, nulls=False)
    start = perf_counter()
    columns = Columns(journeys)
    found = {rule: columns.attribute(rule) for rule in RULES}
    seconds = perf_counter() - start
    return Took(seconds, len(journeys), parts=_told({rule: found[rule] for rule in SIMPLE}))


def chain_of_columns(path: str) -> Took:
    """Credit conversions and money by a chain of order 1, exactly."""
    from projections.attribution_overall import Steps, markov

    journeys = _columns(path, nulls=True)
    start = perf_counter()
    result, chain = markov(journeys)
    seconds = perf_counter() - start
    table = np.zeros((len(CHANNELS) + 1, len(CHANNELS) + 3))
    for (origin, to), count in Steps(journeys, 1).table().items():
        table[origin, to] = count
    table /= table.sum(axis=1, keepdims=True)
    n = len(table)
    solved = np.linalg.solve(np.eye(n) - table[:, :n], table[:, n])[0]
    if abs(solved - float(chain.conversion)) > 1e-9:
        raise AssertionError(f"the chain converts {float(chain.conversion)}, solved {solved}")
    return Took(seconds, len(journeys), parts=_told({"markov": result}))


def _told(found: Mapping[str, Attribution]) -> dict[str, float]:
    return {
        f"{rule} {what} {channel}": value
        for rule, result in found.items()
        for channel, units in result.credit.items()
        for what, value in (
            ("conversions", units / NANO),
            ("value", result.amounts[channel]["EUR"] / CENTS),
        )
    }


def _frame(path: str, *, nulls: bool) -> Any:
    """Return the journeys as ChannelAttribution takes them."""
    pd = import_module("pandas")
    with np.load(path) as saved:
        offsets, codes = saved["offsets"].tolist(), saved["codes"].tolist()
        amount, converts = saved["amount"] / CENTS, saved["converts"].astype(int)
    names = [CHANNELS[code] for code in codes]
    paths = [" > ".join(names[a:b]) for a, b in pairwise(offsets)]
    won = converts if nulls else np.ones_like(converts)
    return pd.DataFrame({"path": paths, "won": won, "value": amount * won, "lost": 1 - won})


def _peer() -> Any:
    """Return ChannelAttribution. It imports what it draws with, which we neither have nor ask.

    It greets on the standard output, which is for what a job took.
    """
    empty = {name: ModuleType(name) for name in ("matplotlib", "matplotlib.pyplot")}
    vars(empty["matplotlib"])["pyplot"] = empty["matplotlib.pyplot"]
    missing = {name: made for name, made in empty.items() if name not in sys.modules}
    sys.modules.update(missing)
    try:
        with redirect_stdout(sys.stderr):
            return import_module("ChannelAttribution")
    finally:
        for name in missing:  # who asks for it next shall be told that it is not there
            del sys.modules[name]


def in_peer(path: str) -> Took:
    """Credit conversions and money by the peer's three rules."""
    peer, frame = _peer(), _frame(path, nulls=False)
    start = perf_counter()
    with redirect_stdout(sys.stderr):
        found = peer.heuristic_models(frame, "path", "won", var_value="value", flg_pro=False)
    seconds = perf_counter() - start
    parts = {}
    for row in found.to_dict("records"):
        for rule, own in zip(SIMPLE, ("first_touch", "last_touch", "linear_touch"), strict=True):
            for what, column in (("conversions", "conversions"), ("value", "value")):
                parts[f"{rule} {what} {row['channel_name']}"] = float(row[f"{own}_{column}"])
    return Took(seconds, len(frame), parts=parts)


def chain_in_peer(path: str) -> Took:
    """Credit conversions and money by the peer's chain of order 1."""
    peer, frame = _peer(), _frame(path, nulls=True)
    start = perf_counter()
    with redirect_stdout(sys.stderr):
        found = peer.markov_model(
            frame, "path", "won", var_value="value", var_null="lost", verbose=False, flg_pro=False
        )
    seconds = perf_counter() - start
    rows = found.to_dict("records")
    parts = {f"markov conversions {r['channel_name']}": float(r["total_conversions"]) for r in rows}
    return Took(seconds, len(frame), parts=parts)


def in_duckdb(path: str) -> Took:
    """Credit conversions and money by three rules, in SQL."""
    import duckdb

    file = Path(path).with_suffix(".parquet")
    sums = ", ".join(
        f"sum(CASE WHEN {test} THEN {one} END), sum(CASE WHEN {test} THEN {money} END)"
        for test, one, money in (
            ("place = 0", "1", "amount"),
            ("place = touches - 1", "1", "amount"),
            ("true", "1.0::DOUBLE / touches", "amount::DOUBLE / touches"),
        )
    )
    query = f"SELECT channel, {sums} FROM read_parquet('{file}') GROUP BY channel"
    with duckdb.connect(config={"threads": THREADS}) as connection:
        start = perf_counter()
        rows = connection.execute(query).fetchall()
        seconds = perf_counter() - start
    return Took(seconds, _journeys(path), parts=_of_rows(rows))


def in_polars(path: str) -> Took:
    """Credit conversions and money by three rules, in expressions."""
    import polars as pl

    place, touches, amount = pl.col("place"), pl.col("touches"), pl.col("amount")
    first, last = place == 0, place == touches - 1
    asked = [
        first.sum().alias("0"),
        amount.filter(first).sum().alias("1"),
        last.sum().alias("2"),
        amount.filter(last).sum().alias("3"),
        (1 / touches).sum().alias("4"),
        (amount / touches).sum().alias("5"),
    ]
    start = perf_counter()
    frame = pl.scan_parquet(Path(path).with_suffix(".parquet"))
    rows = frame.group_by("channel").agg(asked).collect().rows()
    seconds = perf_counter() - start
    return Took(seconds, _journeys(path), parts=_of_rows(rows))


def _of_rows(rows: Sequence[Sequence[Any]]) -> dict[str, float]:
    return {
        f"{rule} {what} {row[0]}": float(row[1 + 2 * n + m]) / (CENTS if m else 1)
        for row in rows
        for n, rule in enumerate(SIMPLE)
        for m, what in enumerate(("conversions", "value"))
    }


def _journeys(path: str) -> int:
    with np.load(path) as saved:
        return len(saved["amount"])


def attribution(place: Any, events: int, rounds: int) -> Sequence[Line]:
    """Measure all on so many journeys, and refuse to tell a ratio of other answers."""
    path = place.file().with_suffix(".npz")
    write_journeys(path, events)
    sides = [partial(place.run, name, path=str(path)) for name in JOBS]
    took: list[list[Took]] = [[side() for side in sides] for _ in range(rounds)]
    for ours, chain, peer, _, duck, bear in took:
        for name, other in (("ChannelAttribution", peer), ("DuckDB", duck), ("polars", bear)):
            _same(ours, other, name)
        credit = sum(value for what, value in chain.parts.items() if " conversions " in what)
        if abs(credit - round(credit)) > 1e-4:
            raise AssertionError("the credit of the chain does not sum to whole conversions")
    own, chain_own, peer_own, chain_peer, duck_own, bear_own = (
        [side.rate for side in each] for each in zip(*took, strict=True)
    )
    lines = [
        rates("attribution", what, figures, against, base, least_ratio=least)
        for what, figures, against, base, least in (
            ("nine rules", own, "ChannelAttribution, three rules", peer_own, 10),
            ("nine rules", own, "DuckDB, three rules", duck_own, None),
            ("nine rules", own, "polars, three rules", bear_own, None),
            ("markov, exact", chain_own, "ChannelAttribution", chain_peer, None),
        )
    ]
    for file in (path, path.with_suffix(".parquet")):
        file.unlink()
    return [replace(line, unit="journeys/s") for line in lines]


def _same(ours: Took, other: Took, name: str) -> None:
    """Raise AssertionError where credit, or money but for the cents of rounding, differs."""
    # each journey's money is in whole cents here: over all of them that is a random walk
    cents = 5 * sqrt(ours.events) / CENTS
    for what, value in ours.parts.items():
        near = 1e-6 * max(abs(value), 1) + (cents if " value " in what else 0)
        if abs(other.parts.get(what, 0.0) - value) > near:
            raise AssertionError(f"{name} says {other.parts.get(what)} of {what}, not {value}")


JOBS: Final = {
    "attribution of columns": of_columns,
    "chain of columns": chain_of_columns,
    "attribution in ChannelAttribution": in_peer,
    "chain in ChannelAttribution": chain_in_peer,
    "attribution in DuckDB": in_duckdb,
    "attribution in polars": in_polars,
}
"""The pieces of work, each to be done in a process of its own."""
