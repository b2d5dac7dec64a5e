"""The runner: reads history once and keeps all read models, with the position they stand for."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Engine

from domain.book import Rules
from projections.batch import Batch, Events, Memory
from projections.digest import digests
from projections.history import History
from projections.naming import LIVE
from projections.pause import no_cycles
from projections.schema import read_models
from projections.setup import VERSION, create
from projections.writer import Checkpoint, Moved, Superseded, writer

if TYPE_CHECKING:
    # a rebuild catches up by a runner of its own
    from projections.rebuild import RebuildReport

BATCH: Final = 25_000
"""Events in one transaction while there are many."""

MEMORY: Final = 30_000
"""What the views in memory may weigh together, see ``View.weight``: about 60 MB."""

_PAIR: Final = 64
"""Events to read further for the other half of a merge."""

Progress = Callable[[int, int], None]
"""Told the position reached and the last one."""


class NotReady(Exception):
    """There are no read models yet, or another version of leadflow made them: rebuild."""


class Runner:
    """Keeps the read models of one database up with one history.

    *rules* decide for the leads whose facts came out of order or from several streams, as they
    would have, had they come in order; *reread* fetches those of now where policies are published.
    """

    def __init__(
        self,
        engine: Engine,
        history: History,
        rules: Rules,
        *,
        reread: Callable[[], Rules] | None = None,
        which: str = LIVE,
        build: str | None = None,
    ) -> None:
        """Keep the set *which*: the live one, or another, which has to be that *build* if named."""
        self.engine = read_models(engine)
        self.history = history
        self._rules = rules
        self._reread = reread
        self._writer = writer(self.engine, which)
        self._which = which
        self._build = build
        self._memory = Memory(MEMORY)
        self._checkpoint: Checkpoint | None = None
        """The one that the views in memory belong to."""

    def create(self) -> None:
        """Create the tables and views where they are missing; harmless when they are there."""
        create(self.engine, self._which)

    def checkpoint(self) -> int:
        """Return the position that the rows stand for; raise NotReady."""
        return self._read_checkpoint().position

    def lag(self) -> int:
        """Return how many positions of the log are still to come; raise NotReady."""
        return max(0, self.history.head() - self.checkpoint())

    def digest(self) -> dict[str, str]:
        """Return the SHA-256 of each read model by name; see ``projections.digest``."""
        return digests(self.engine, self._which)

    def rebuild(
        self, on_progress: Callable[[int], None] | None = None, **options: Any
    ) -> "RebuildReport":
        """Make the read models anew beside the live ones; see ``projections.rebuild``."""
        from projections.rebuild import rebuild

        return rebuild(self.engine, self.history, self._rules_now, on_progress, **options)

    def _read_checkpoint(self) -> Checkpoint:
        found = self._writer.checkpoint()
        if found is None:
            raise NotReady("there are no read models yet: create them first")
        if self._build is not None and found.build != self._build:
            raise Superseded("another rebuild has taken over the set that was to be caught up")
        if found.version != VERSION:
            raise NotReady(
                f"the read models are of version {found.version}, this leadflow makes {VERSION}:"
                " run `leadflow rebuild`"
            )
        return found

    def catch_up(
        self,
        batch: int = BATCH,
        on_progress: Progress | None = None,
        *,
        upto: int | None = None,
    ) -> int:
        """Project what is new in the history, *batch* events a transaction; return their number.

        Another runner may work on the same read models: whoever is first writes a batch. *upto*
        is where another set stands that this one is to be compared with: go no further.

        Raises NotReady.
        """
        count = 0
        head = self.history.head() if on_progress is not None else 0
        checkpoint = self._resume()
        while True:
            with no_cycles():
                events = self.history.stream(checkpoint.position, batch)
                if upto is not None:
                    events = [event for event in events if event[0] <= upto]
                if not events:
                    return count
                try:
                    checkpoint, done = self._apply(events, checkpoint)
                    count += done
                except Moved:
                    checkpoint = self._resume()
                # or they would be in memory until the next ones are
                del events
            if on_progress is not None:
                on_progress(checkpoint.position, head)

    def _resume(self) -> Checkpoint:
        """Return the checkpoint; forget what is in memory if it stands for another one."""
        checkpoint = self._read_checkpoint()
        self._rules_now()  # another runner may have passed a publication
        if self._checkpoint != checkpoint:
            self._memory.clear()
            self._checkpoint = checkpoint
        return checkpoint

    def _rules_now(self) -> Rules:
        """Return the policies that are published by now."""
        if self._reread is not None:
            self._rules = self._reread()
        return self._rules

    def _apply(self, events: Events, checkpoint: Checkpoint) -> tuple[Checkpoint, int]:
        """Project one batch; return the new checkpoint and the number of events."""
        batch = Batch(self._memory, checkpoint.next_lead_no, self._rules)
        batch.add(events)
        count, position = len(events), events[-1][0]
        while not batch.is_whole and (more := self.history.stream(position, _PAIR)):
            batch.add(more)
            count, position = count + len(more), more[-1][0]
        if batch.publishes:
            batch.rules = self._rules_now()
            self._memory.clear()  # a new policy may tell people apart otherwise
        # until the batch is committed, memory belongs to no checkpoint
        self._checkpoint = None
        batch.project(self._writer, self.history)
        judged_by = policy_before(batch.rules)
        policies = checkpoint.policy.split()
        if judged_by not in policies:
            policies.append(judged_by)
        new = Checkpoint(
            position, VERSION, batch.next_lead_no, checkpoint.build, " ".join(policies)
        )
        self._writer.write(batch.rows, checkpoint, new)
        self._checkpoint = new
        self._memory.shrink()
        return new, count


def policy_before(rules: Rules) -> str:
    """Return the version of the policy that is in force before the first published one."""
    return rules.at(0).version
