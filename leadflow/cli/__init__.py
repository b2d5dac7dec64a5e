"""The command line: one file per task of a user."""

from typing import Annotated

import typer

from leadflow.cli import (
    accounts,
    attribution,
    channels,
    curves,
    duplicates,
    economics,
    experiments,
    export,
    fold,
    forecast,
    funnel,
    handoffs,
    hygiene,
    intake,
    letters,
    maintain,
    market,
    mix,
    people,
    pipeline,
    policies,
    query,
    run,
    sales,
    setup,
    sources,
    speed,
    stage_graph,
    stages,
    targets,
    touch_coverage,
    trial,
    win,
)
from leadflow.cli.frame import Session
from leadflow.cli.root import Root

app = typer.Typer(
    name="leadflow",
    cls=Root,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Turn a stream of lead interactions into leads that know their stage and score, and into"
    " tables that answer questions.",
    epilog="Try it: leadflow demo",
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"leadflow {version('leadflow')}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    database: Annotated[
        str | None,
        typer.Option(help="Database URL; else LEADFLOW_DATABASE_URL.", metavar="URL"),
    ] = None,
    kafka: Annotated[
        str | None,
        typer.Option(
            help="Kafka brokers, host:port; else LEADFLOW_KAFKA_BOOTSTRAP_SERVERS.",
            metavar="SERVERS",
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="Policy document; else policy.toml, else the default.", metavar="FILE"),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log in detail, and show where bugs happen.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Take the options that every command has; they may stand before or behind its name."""
    from leadflow.rooms import check_rooms

    options = {"database_url": database, "kafka_bootstrap_servers": kafka, "policy": policy}
    ctx.obj = Session(options, verbose)
    check_rooms()


trial.register(app)
market.register(app)
setup.register(app)
intake.register(app)
run.register(app)
pipeline.register(app)
stage_graph.register(app)
handoffs.register(app)
channels.register(app)
funnel.register(app)
curves.register(app)
attribution.register(app)
sources.register(app)
speed.register(app)
touch_coverage.register(app)
experiments.register(app)
economics.register(app)
targets.register(app)
accounts.register(app)
people.register(app)
duplicates.register(app)
letters.register(app)
maintain.register(app)
fold.register(app)
policies.register(app)
win.register(app)
query.register(app)
export.register(app)
stages.register(app)
sales.register(app)
forecast.register(app)
mix.register(app)
hygiene.register(app)


_PANELS = {
    "Begin": "demo simulate init doctor status roles",
    "Take in": "schema broker ingest send import consume project up dead-letters",
    "Pipeline and funnel": "pipeline stage-graph handoffs channels funnel cohorts curve stages",
    "Speed and work": "speed touch-coverage ab-test recycled source-mix hygiene",
    "Deals and money": "win-rate velocity forecast win sources attribution economics targets",
    "Leads and accounts": "lead duplicates account accounts",
    "Read models, SQL, files": "query export digest rebuild fold",
    "Rules": "policy",
}
"""Headings of ``leadflow --help``, and the commands below each: every command is under one."""


def _arrange() -> None:
    """Put every command below its heading."""
    panel = {name: title for title, names in _PANELS.items() for name in names.split()}
    for command in app.registered_commands:
        named = command.name or getattr(command.callback, "__name__", "").replace("_", "-")
        command.rich_help_panel = panel[named]
    for group in app.registered_groups:
        group.rich_help_panel = panel[str(group.name)]


_arrange()


def main() -> None:
    """Run the program."""
    app(prog_name="leadflow")
