"""How views are fed: from the whole history of some streams, or with what follows."""

from collections.abc import Iterable, Iterator, Sequence

from domain.book import Rules, judged_alike
from domain.corrections import CORRECTIONS, effective
from domain.decide import as_occurred, decide
from domain.events import (
    ActorJudged,
    Event,
    Fact,
    Identifier,
    LeadMerged,
    LeadRestated,
    StageEntered,
    canonical,
    judged_at,
)
from domain.identity import RULINGS, lead_id
from domain.lead import evolve
from domain.persons import named
from domain.watch import in_doubt
from projections.rows import Rows
from projections.view import StageDecision, View


def views_of(
    numbers: Iterator[int],
    streams: list[str],
    histories: Sequence[Sequence[Event]],
    rules: Rules,
    rows: Rows,
    *,
    joined: bool = True,
) -> list[View]:
    """Return the views of the people in the whole histories of *streams*, their rows in *rows*.

    Mostly there is one. Its decisions of the log stand where one stream brought the facts in
    canonical order, each under the policy that it happened under, and nothing was corrected; else
    each person is decided as it occurred. There is none where nothing counts any more. *numbers*
    are those of the leads. *joined* is false where facts may be missing that joined the others.
    """
    people = people_in(histories, rules, joined=joined)
    unsettled = False
    for events in histories:
        for event in events:
            if unsettles(event):
                unsettled = True
                break
    views = []
    for identifier, part in people:
        if not has_keys(part):
            continue
        view = View(0, streams)
        view.rules = rules
        view.is_unsettled = unsettled
        if (
            len(people) == 1 == len(histories)
            and not unsettled
            and view.follows(event for event in histories[0] if type(event) is Fact)
            and judged_alike(part, rules)
        ):
            view.lead_no = next(numbers)
            view.feed(histories[0], rows)
        else:
            counted = counting(part, rules)
            if not any(fact.keys for fact in counted):
                continue
            view.is_unsettled = unsettled or counted != canonical(part)
            view.lead_no = next(numbers)
            decide_anew(view, part, rules, rows)
            if identifier is not None:
                view.lead_id = lead_id(identifier)
            if len(people) == 1:
                view.decision = decided_in(histories)
        view.settle(rows)
        views.append(view)
    return views


def has_keys(events: Iterable[Event]) -> bool:
    """Return whether any of the facts carries an identifier."""
    for event in events:
        if type(event) is Fact and event.person is not None and event.person["keys"]:
            return True
    return False


Person = tuple[Identifier | None, list[Fact]]
"""The identifier by which somebody is first known, and the facts that are theirs."""


def people_in(
    histories: Iterable[Iterable[Event]], rules: Rules, *, joined: bool = True
) -> list[Person]:
    """Return the people in the histories of the streams of one lead of the log.

    The identifier is None where there is one person alone: the facts tell it. *joined* is false
    where facts may be missing that joined the others.
    """
    facts = [event for events in histories for event in events if type(event) is Fact]
    if joined and not in_doubt(facts, rules):
        return [(None, facts)]
    people = named(canonical(facts), rules)
    return people if len(people) > 1 else [(None, part) for _, part in people]


def counting(facts: Iterable[Fact], rules: Rules) -> list[Fact]:
    """Return which of the *facts* of one person count, as they count, in canonical order."""
    return effective(canonical(facts), rules)


def unsettles(event: Event) -> bool:
    """Return whether with *event* other facts may count otherwise than they came."""
    if type(event) is Fact:
        return event.type in CORRECTIONS or event.type in RULINGS
    return type(event) is ActorJudged or type(event) is LeadRestated


def decided_in(histories: Iterable[Iterable[Event]]) -> StageDecision | None:
    """Return the last decision of the log about the stage, from the stream that goes on."""
    for events in histories:
        last: StageDecision | None = None
        for event in events:
            if isinstance(event, LeadMerged) and event.into is not None:
                last = None
                break
            if isinstance(event, StageEntered | LeadRestated | LeadMerged):
                last = event
        if last is not None:
            return last
    return None


def decide_anew(view: View, facts: Sequence[Fact], rules: Rules, rows: Rows) -> None:
    """Feed an empty *view* with *facts*, in whatever order, and the decisions as they occurred."""
    view.rules = rules
    view.lead, history = as_occurred(facts, rules)
    view.feed([event for events in history for event in events], rows)


def go_on(view: View, facts: Iterable[Fact], rules: Rules, rows: Rows) -> bool:
    """Feed *view*, which keeps its lead as it occurred, with *facts* that follow.

    Return False, and feed nothing, where they make others count otherwise: read it from history.
    """
    lead = view.lead
    if lead is None:
        raise ValueError("the decisions of the log stand for this lead: feed them")
    view.rules = rules
    fed: list[Event] = []
    for fact in facts:
        events = decide(lead, fact, rules.at(judged_at(fact)))
        for event in events:
            if type(event) is ActorJudged:
                return False
            evolve(lead, event)
        fed += events
    view.feed(fed, rows)
    return True
