"""Where leads leak, which source brings deals, how fast we are: asked of an export of leadflow.

`docs/howto/notebook.md` says how to run it.
"""
# ruff: noqa: ANN001, ANN202, B018, INP001 - a cell is a function: the notebook gives its arguments
# and shows its last expression

import marimo

__generated_with = "0.25.2"
app = marimo.App(app_title="Pipeline")


@app.cell
def _():
    import os
    import pathlib

    import marimo as mo
    import polars as pl

    from leadflow import charts

    return charts, mo, os, pathlib, pl


@app.cell
def _(mo, os, pathlib, pl):
    folder = pathlib.Path(os.environ.get("EXPORT_DIR", "out"))

    def view(name):
        """Return a view of the export, its codes as text."""
        return pl.read_parquet(folder / f"{name}.parquet").with_columns(
            pl.col(pl.Categorical).cast(pl.String)
        )

    leads, stays, credit = view("v_pipeline"), view("v_stages"), view("v_credit")
    now = leads["last_event_at"].max()
    mo.md(f"# Pipeline\n\n{leads.height:,} leads, the latest event at {now:%Y-%m-%d %H:%M} UTC.")
    return credit, leads, now, stays, view


@app.cell
def _(mo):
    mo.md("""
    ## Where do leads leak?

    A lead has reached a stage that it entered or passed, in whichever cycle.
    """)


@app.cell
def _(charts, leads, mo, pl, stays):
    way = ["captured", "mqo", "mql", "sal", "sql", "opportunity", "won"]
    # who was found by sales (sgl) has passed mql, and was not accepted (sal)
    place = {stage: n for n, stage in enumerate(way)} | {"sgl": way.index("mql")}
    furthest = (
        stays.with_columns(
            way=pl.col("stage").replace_strict(place, default=None, return_dtype=pl.Int64)
        )
        .group_by("lead_id")
        .agg(pl.col("way").max())
        .join(leads.select("lead_id", "channel"), on="lead_id")
    )
    shown = ["captured", "mql", "sal", "sql", "opportunity", "won"]
    reached = {stage: furthest.filter(pl.col("way") >= place[stage]).height for stage in shown}
    first = reached["captured"]
    steps = [
        {"step": stage, "leads": n, "rate_from_first": n / first if first else None}
        for stage, n in reached.items()
    ]
    funnel = charts.funnel({"mode": "stages reached", "steps": steps, "groups": []})
    mo.Html(charts.as_svg(funnel))
    return furthest, place, reached, shown


@app.cell
def _(furthest, leads, mo, pl, place, shown):
    by_channel = (
        leads.select("lead_id")
        .join(furthest, on="lead_id", how="left")
        .drop("channel")
        .join(leads.select("lead_id", "channel"), on="lead_id")
        .group_by("channel")
        .agg(
            pl.len().alias("leads"),
            *((pl.col("way") >= place[stage]).sum().alias(stage) for stage in shown),
        )
        .with_columns(mql_to_won=pl.col("won") / pl.col("mql"))
        .sort("leads", descending=True)
    )
    mo.ui.table(by_channel, selection=None)
    return (by_channel,)


@app.cell
def _(mo):
    mo.md("""
    ## Which source brings deals?

    Credit of the deals by channel, as several models divide it. Currencies are never added.
    """)


@app.cell
def _(mo):
    by = mo.ui.dropdown(["channel", "source", "campaign"], value="channel", label="By")
    by
    return (by,)


@app.cell
def _(by, charts, credit, mo, pl):
    won = credit.filter((pl.col("kind") == "won") & (pl.col("touch") > 0))
    deals = (
        won.group_by(by.value, "model")
        .agg(pl.col("credit").sum())
        .pivot("model", index=by.value, values="credit")
        .fill_null(0)
        .sort("linear", descending=True)
    )
    models = ["first", "linear", "last"]
    side_by_side = {
        "conversion": "won",
        "rows": [
            {
                "value": row[by.value],
                "models": {model: {"credit": row[model]} for model in models},
            }
            for row in deals.iter_rows(named=True)
        ],
    }
    mo.Html(charts.as_svg(charts.attribution(side_by_side)))
    return deals, won


@app.cell
def _(by, mo, pl, won):
    revenue = (
        won.filter((pl.col("model") == "linear") & pl.col("amount").is_not_null())
        .group_by(by.value, "currency")
        .agg(pl.col("amount").sum())
        .sort("currency", "amount", descending=[False, True])
    )
    mo.ui.table(revenue, selection=None)
    return (revenue,)


@app.cell
def _(mo):
    mo.md("""
    ## How fast are we?

    From MQL to the first answer of sales. An MQL that still waits has waited until now: it is
    censored, not left out (Kaplan and Meier 1958).
    """)


@app.cell
def _(charts, mo, now, pl, view):
    waits = view("v_handoffs").select(
        seconds=pl.col("waited_seconds").fill_null((now - pl.col("mql_at")).dt.total_seconds()),
        answered=pl.col("answered_at").is_not_null(),
    )
    answers = (
        waits.group_by("seconds")
        .agg(pl.len().alias("ended"), pl.col("answered").sum())
        .sort("seconds")
        .with_columns(at_risk=waits.height - pl.col("ended").cum_sum() + pl.col("ended"))
        .with_columns(reached=1 - (1 - pl.col("answered") / pl.col("at_risk")).cum_prod())
    )

    def by_then(share):
        """Return the hours by which *share* of the MQLs have an answer; None: never."""
        there = answers.filter(pl.col("reached") >= share - 1e-9)
        return there["seconds"][0] / 3600 if there.height else None

    hours = {"half": by_then(0.5), "nine in ten": by_then(0.9)}
    curve = {
        "from_stage": "mql",
        "to_stage": "an answer",
        "method": "kaplan_meier",
        "curve": [
            {**row, "low": None, "high": None}
            for row in answers.select("seconds", "reached").iter_rows(named=True)
        ],
        "at_risk": [],
        "groups": [],
    }
    told = ", ".join(
        f"{share}: {'not yet' if spent is None else f'{spent:,.1f} hours'}"
        for share, spent in hours.items()
    )
    mo.vstack([mo.md(f"Answered: {told}."), mo.Html(charts.as_svg(charts.curve(curve)))])
    return (hours,)


@app.cell
def _(mo, pl, stays):
    days = pl.col("dwell_seconds") / 86_400
    dwell = (
        stays.filter(pl.col("exited_at").is_not_null())
        .group_by("stage")
        .agg(
            pl.len().alias("stays"),
            days.median().alias("median days"),
            days.quantile(0.9, "higher").alias("P90 days"),
        )
        .sort("stays", descending=True)
    )
    mo.vstack([mo.md("Stays that have ended:"), mo.ui.table(dwell, selection=None)])


if __name__ == "__main__":
    app.run()
