"""Rebuild: fill a new set of read models beside the live one, compare, and switch.

The live set is kept up and asked all the while, and so is the log. The steps, each of which can be
killed and gone on with:

1. *fill*: every lead is folded up to the position where the build began, part by part
   (``projections.builds``);
2. *catch up*: a runner brings the new set to where the log is by now;
3. *compare*: the digests of both sets at one position. Where they differ and nothing explains it,
   nothing is switched;
4. *switch*: in one transaction, once the new set is as far as the live one.

The set that was live stays as the old one, for ``roll_back``.
"""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import stamina
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from domain.book import Rules
from projections import builds
from projections.apart import OpenHistory, fill
from projections.builds import SUPERSEDED, Build, Standing
from projections.compare import Compared, Difference, alike, compare
from projections.digest import digests, snapshot
from projections.history import History
from projections.naming import LIVE, NEW, OLD
from projections.runner import Runner, policy_before
from projections.schema import read_models
from projections.setup import (
    VERSION,
    Behind,
    Busy,
    alone,
    checkpoint_of,
    drop,
    make_anew,
    switch,
)
from projections.writer import Checkpoint, Superseded, writer

Progress = Callable[[int], None]
"""Told how many events are folded so far."""

PART: Final = 20_000
"""Events of one part, about: they and their rows are in memory until they are committed."""

MOST_PARTS: Final = 65_536
"""Streams are divided by four hexadecimal digits."""

FIRST_FILL: Final = 60_000
"""From so many events on, read models that hold nothing yet are filled by lead.

Caught up in the order of the log, a lead is read again for every batch that brings a fact of it.
"""

_NO_RIGHT: Final = "42501"

_MEETINGS: Final = 3
"""How often to look for both sets at one position before the live one is held still."""

Step = Callable[[str], None]
"""Told what a rebuild is at: ``fill``, ``catch up``, ``compare`` or ``switch``."""


class NothingToResume(Exception):
    """There is no build to go on with, or one of another version or policy."""


class RightMissing(Exception):
    """The role may not make the schema of a new set; the message says how to give it the right."""


class NoOldSet(Exception):
    """There is no set to go back to."""


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What a rebuild made, and how it compares with what was there."""

    position: int
    """Last position of the log that is in the rows."""
    events: int
    leads: int
    parts: int
    """Parts that the leads were filled in, and how many of them an earlier run had done."""
    resumed: int
    caught_up: int
    """Events that came while it was filling."""
    compared_at: int | None
    """The position at which both sets were compared."""
    before: Mapping[str, str] | None
    """Digests of the set that was live; None where nothing could be compared."""
    after: Mapping[str, str]
    """Digests of the new set."""
    reasons: list[str]
    """What explains differences, or why nothing was compared."""
    rows: Mapping[str, list[Difference]] = field(default_factory=dict)
    """The first rows that differ, by read model."""
    switched: bool = True

    @property
    def differences(self) -> list[str] | None:
        """Return the read models whose rows changed; None where nothing could be compared."""
        if self.before is None:
            return None
        return [name for name, digest in self.before.items() if self.after[name] != digest]


def rebuild(
    engine: Engine,
    history: History,
    rules: Callable[[], Rules],
    on_progress: Progress | None = None,
    on_step: Step | None = None,
    *,
    workers: int = 1,
    open_history: OpenHistory | None = None,
    resume: bool | None = None,
    keep_old: bool = True,
    accept_differences: bool = False,
    part: int = PART,
) -> RebuildReport:
    """Rebuild all read models from *history* and make the new ones live, if they are the same.

    *rules* is asked once the end of the history is known, so that it holds every policy published
    by then. With *workers* > 1, as many processes share the work; each calls *open_history*, which
    has to be picklable, for a history of its own. *resume*: go on with the build that was begun;
    False: begin anew; None: go on where that is possible. *part* is about how many events are
    committed together. *accept_differences* switches although rows differ and nothing explains it.

    Raises NothingToResume, Superseded where another rebuild has taken over, and WorkerFailed;
    what is filled by then stays, to go on with.
    """
    return _Rebuild(read_models(engine), history, rules, on_step or _untold).run(
        on_progress or _untold,
        workers,
        open_history,
        resume=resume,
        keep_old=keep_old,
        accept_differences=accept_differences,
        part=part,
    )


def first_fill(
    engine: Engine,
    history: History,
    rules: Callable[[], Rules],
    on_progress: Progress | None = None,
    on_step: Step | None = None,
    *,
    part: int = PART,
    patience: float = 10.0,
) -> None:
    """Fill read models that hold nothing yet, lead by lead; harmless when they hold something.

    It is a rebuild with nothing to compare, and goes on where it, or a rebuild, was ended.

    Raises Superseded where another fill or rebuild has taken over, RightMissing, and after
    *patience*, seconds, Busy where somebody holds on to the empty set, or Behind where another
    runner is always ahead; what was filled is dropped then, and the log is the other way.
    """
    models = read_models(engine)
    live = writer(models).checkpoint()
    if live is None or live.position:
        return
    filling = _Rebuild(models, history, rules, on_step or _untold)
    build, in_force = filling.begin(part, resume=None)
    try:
        with _taken_over(models, build):
            filling.fill(build, in_force, on_progress or _untold, 1, None)
            filling.switch(build, filling.runner(NEW, build.name), patience)
            drop(models, OLD)
    except (Busy, Behind):
        drop(models, NEW)
        raise


def await_fill(engine: Engine, look: Callable[[], None], patience: float = 30.0) -> bool:
    """Wait while another process fills what holds nothing yet; return whether it was done.

    *look* is called twice a second. False where the other has done nothing for *patience*, seconds.
    """
    seen, since = None, time.monotonic()
    while True:
        found = sets(engine)
        if found.live is not None and found.live.position:
            return True
        standing = None if found.build is None else (found.build.started_us, found.build.last_us)
        if standing != seen:
            seen, since = standing, time.monotonic()
        elif time.monotonic() - since > patience:
            return False
        look()
        time.sleep(0.5)


def _untold(_what: object) -> None:
    """Tell nobody."""


@contextmanager
def _taken_over(engine: Engine, build: Build) -> Generator[None]:
    """Raise Superseded for whatever goes wrong once another has taken over from *build*."""
    try:
        yield
    except Exception as error:
        # what was taken over may be live or gone by now, and fails in as many ways
        found = writer(engine, NEW).checkpoint()
        if found is None or found.build != build.name:
            raise Superseded(SUPERSEDED) from error
        raise


class _Rebuild:
    """One rebuild under way."""

    def __init__(
        self, engine: Engine, history: History, rules: Callable[[], Rules], on_step: Step
    ) -> None:
        self.engine = engine
        self.history = history
        self.rules = rules
        self.on_step = on_step

    def run(
        self,
        on_progress: Progress,
        workers: int,
        open_history: OpenHistory | None,
        *,
        resume: bool | None,
        keep_old: bool,
        accept_differences: bool,
        part: int,
    ) -> RebuildReport:
        """Take all steps."""
        build, in_force = self.begin(part, resume=resume)
        with _taken_over(self.engine, build):
            return self._take_steps(
                build,
                in_force,
                on_progress,
                workers,
                open_history,
                keep_old=keep_old,
                accept_differences=accept_differences,
            )

    def _take_steps(
        self,
        build: Build,
        in_force: Rules,
        on_progress: Progress,
        workers: int,
        open_history: OpenHistory | None,
        *,
        keep_old: bool,
        accept_differences: bool,
    ) -> RebuildReport:
        before = build.standing()
        filled = self.fill(build, in_force, on_progress, workers, open_history)
        self.on_step("catch up")
        runner = self.runner(NEW, build.name)
        # no further than the live set: they are compared where it stands
        live = writer(self.engine).checkpoint()
        compared, at = None, None
        reasons, explained = self._why_different(live, in_force)
        if live is not None and self._can_compare(live, build.position):
            self.on_step("compare")
            compared, at = self._compare(runner, live)
        unexplained = compared is not None and bool(compared.rows) and not explained
        if not unexplained or accept_differences:
            if unexplained:
                reasons.append("differences were accepted")
            checkpoint = self.switch(build, runner)
            if not keep_old:
                drop(self.engine, OLD)
        else:
            checkpoint = writer(self.engine, NEW).checkpoint() or Checkpoint(0, VERSION, 1)
        return RebuildReport(
            checkpoint.position,
            filled.events,
            filled.leads,
            filled.parts,
            before.parts_done,
            max(0, checkpoint.position - build.position),
            at,
            None if compared is None else compared.live,
            compared.new if compared is not None else digests(self.engine, LIVE),
            reasons,
            {} if compared is None else compared.rows,
            switched=not unexplained or accept_differences,
        )

    # --- the steps --------------------------------------------------------------------------------

    def begin(self, part: int, *, resume: bool | None) -> tuple[Build, Rules]:
        """Return the build to fill, begun by now or before."""
        position = self.history.head()
        in_force = self.rules()
        policy = policy_before(in_force)
        parts = min(max(-(-position // part), 1), MOST_PARTS)
        merged = self.history.merged()
        try:
            # nobody sees a set that is half made, nor takes it for one that can be gone on with
            with alone(self.engine) as connection:
                if resume is not False:
                    build = builds.resume(connection, self.engine, VERSION, policy)
                    if build is not None:
                        return build, in_force
                    if resume:
                        raise NothingToResume(
                            "there is no build to go on with that was begun by this version of"
                            " leadflow under this policy: leave --resume out, and a new one begins"
                        )
                make_anew(connection, NEW)
                build = builds.begin(
                    connection, self.engine, position, parts, merged, _now(), policy
                )
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == _NO_RIGHT:
                raise RightMissing(
                    f"a new set of read models is a schema of its own: {error.orig}; as its owner,"
                    " GRANT CREATE ON DATABASE name TO role"
                ) from error
            raise
        return build, in_force

    def fill(
        self,
        build: Build,
        in_force: Rules,
        on_progress: Progress,
        workers: int,
        open_history: OpenHistory | None,
    ) -> Standing:
        """Fold every lead into the new set, as far as that is not done; return how far it is."""
        self.on_step("fill")
        events = build.standing().events
        new = writer(self.engine, NEW)
        for more, _ in fill(new, build, self.history, in_force, workers, open_history):
            events += more
            on_progress(events)
        filled = build.standing()
        build.settle()
        return filled

    def runner(self, which: str, build: str | None = None) -> Runner:
        """Return what keeps a set up with the log; that of a *build* alone, if one is named."""
        return Runner(
            self.engine, self.history, self.rules(), reread=self.rules, which=which, build=build
        )

    def _why_different(self, live: Checkpoint | None, in_force: Rules) -> tuple[list[str], bool]:
        """Return what explains other rows than the live ones, and whether that holds for all.

        Another version explains the rows of that read model alone, which are not compared.
        """
        if live is None or not live.position:
            return ["there were no rows before"], True
        changed = set(VERSION.split()) ^ set(live.version.split())
        reasons = [f"other versions: {', '.join(sorted(changed))}"] if changed else []
        is_other_policy = live.policy not in ("", policy_before(in_force))
        if is_other_policy:
            reasons.append(
                f"they were made under policy {live.policy}, now {policy_before(in_force)} is in"
                " force before the first published one"
            )
        return reasons, is_other_policy

    def _can_compare(self, live: Checkpoint, position: int) -> bool:
        """Return whether there is a position that both sets can be brought to."""
        if not live.position or not alike(live.version, VERSION):
            return False
        return live.version == VERSION or live.position >= position

    def _compare(self, runner: Runner, live: Checkpoint) -> tuple[Compared, int]:
        """Compare both sets at one position; return it, too."""
        names = alike(live.version, VERSION)
        for meeting in range(1, _MEETINGS + 1):
            behind = runner.checkpoint()
            if live.version == VERSION and live.position < behind:
                self.runner(LIVE).catch_up()
            found = writer(self.engine).checkpoint()
            if found is not None:
                runner.catch_up(upto=found.position)
            with snapshot(self.engine) as connection:
                at = checkpoint_of(connection, LIVE)
                mine = checkpoint_of(connection, NEW)
                if at is None or mine is None or at.position < mine.position:
                    continue  # somebody has put another set in its place
                if at.position == mine.position:
                    return compare(connection, connection, names), at.position
                if meeting == _MEETINGS:
                    # the live set moves on and this view of it does not: go where it stands here
                    runner.catch_up(upto=at.position)
                    with snapshot(self.engine) as newer:
                        return compare(connection, newer, names), at.position
        raise Superseded("the live set was put back while it was compared: rebuild again")

    def switch(self, build: Build, runner: Runner, patience: float | None = None) -> Checkpoint:
        """Make the new set live, as soon as it is as far as the live one and nobody is in there.

        Raises Behind and Busy where that takes longer than *patience*, seconds.
        """
        self.on_step("catch up")
        runner.catch_up()
        drop(self.engine, OLD)
        return _switched(
            self.engine, NEW, OLD, runner, build.name, lambda: self.on_step("switch"), patience
        )


def _switched(
    engine: Engine,
    becomes_live: str,
    live_becomes: str,
    runner: Runner | None,
    build: str | None,
    look: Callable[[], None],
    patience: float | None = None,
) -> Checkpoint:
    """Switch as soon as it can be done; *runner* brings the set to where the live one is."""
    for attempt in stamina.retry_context(
        on=(Behind, Busy),
        attempts=None,
        timeout=patience,
        wait_initial=0.05,
        wait_max=2.0,
        wait_jitter=0.2,
    ):
        with attempt:
            look()
            if runner is not None:
                runner.catch_up()
            return switch(engine, live_becomes=live_becomes, becomes_live=becomes_live, build=build)
    raise AssertionError("it is tried until it is done, or raises")


def _now() -> int:
    return time.time_ns() // 1_000


@dataclass(frozen=True, slots=True)
class Sets:
    """Which sets there are, and how far a build is."""

    live: Checkpoint | None
    new: Checkpoint | None
    old: Checkpoint | None
    build: Standing | None


# a set may be dropped between the look for it and the look into it
@stamina.retry(on=DBAPIError, attempts=5, wait_initial=0.05, wait_max=0.5)
def sets(engine: Engine) -> Sets:
    """Return how far every set is."""
    engine = read_models(engine)
    with engine.connect() as connection:
        live, new, old = (checkpoint_of(connection, which) for which in (LIVE, NEW, OLD))
    return Sets(live, new, old, builds.standing(engine))


def roll_back(
    engine: Engine, history: History | None = None, rules: Callable[[], Rules] | None = None
) -> Checkpoint:
    """Make the set that was live before the last rebuild live again, and keep the other as new.

    With *history* and *rules*, it is first brought to where the log is, if it is of our version.

    Raises NoOldSet.
    """
    found = writer(engine, OLD).checkpoint()
    if found is None:
        raise NoOldSet("there is no set to go back to: --keep-old keeps the one that was live")
    runner, build = None, None
    if history is not None and rules is not None and found.version == VERSION:
        build = found.build
        runner = Runner(engine, history, rules(), reread=rules, which=OLD, build=build)
    drop(engine, NEW)
    return _switched(engine, OLD, NEW, runner, build, lambda: None)
