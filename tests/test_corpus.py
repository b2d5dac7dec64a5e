"""A fixed corpus of stored events of every version folds to recorded hashes, for ever.

What may change in ``tests/corpus/recorded.json``, and when:

- ``seal``, ``decoded``, ``folded``: never. What was stored says the same in every version, and a
  lead is what it was decided to be. Whoever breaks this breaks the history of every installation.
- ``occurred`` (persons, what would have been decided, scores and their explanations): only where
  facts are *meant* to lead to something else under a policy that stands as it stood. It is recorded
  anew with ``--judged-anew``, in the commit that says so in CHANGELOG.md, and that raises VERSION
  of the read models that show it.
- ``read_models``: a hash may change in the commit that raises VERSION of that read model, which
  makes every installation rebuild; `python -m tests.corpus --write` then records it anew. With the
  same VERSION it never changes.

New logs and new read models are added at any time, by the same command; it refuses all else.
"""

import json
import shutil
from collections.abc import Mapping
from functools import cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from domain.events import FACT_TOPIC, Event, Fact, LeadMerged, PolicyPublished
from domain.identity import others_of
from domain.lead import fold, fold_streams
from domain.policy import Policy
from domain.stages import PACKS
from domain.vocabulary import FAMILY_OF, LEADLESS
from leadflow.policies import load_policy
from leadflow.policy_book import publish
from leadflow.store import open_store
from leadflow.store.codec import decode, decode_lead, encode
from leadflow.store.migrate import upgrade
from projections.runner import Runner
from tests.corpus.__main__ import main
from tests.corpus.folds import EVENTS, of_event, of_lead, shape_now
from tests.corpus.logs import HERE, Line, Log, Snapshot, read_logs, read_snapshots
from tests.corpus.record import FILE, Entry, entry_of, forbidden, read_record
from tests.projections_kit import read_model_database

LOGS = {log.name: log for log in read_logs()}
RECORD = read_record()
LINES = [line for log in LOGS.values() for line in log.lines]
FACTS = [event for line in LINES if isinstance(event := line.event, Fact)]
every_log = pytest.mark.parametrize("name", LOGS)


@cache
def found(name: str) -> Entry:
    """Return what the log folds to now, looked at as it was recorded."""
    number = RECORD["logs"][name]["shape"]
    return entry_of(LOGS[name], RECORD["shapes"][number - 1], number)


# --- what is recorded -----------------------------------------------------------------------------


def test_every_log_is_recorded_and_no_record_is_without_its_log() -> None:
    assert LOGS.keys() == RECORD["logs"].keys(), "run `python -m tests.corpus --write`"


@every_log
def test_no_line_and_no_policy_of_the_corpus_is_ever_edited(name: str) -> None:
    assert RECORD["logs"][name]["seal"] == LOGS[name].seal


@every_log
def test_what_was_stored_says_the_same_for_ever(name: str) -> None:
    assert RECORD["logs"][name]["decoded"] == found(name)["decoded"]


@every_log
def test_each_stream_folds_to_the_lead_that_it_was_for_ever(name: str) -> None:
    assert RECORD["logs"][name]["folded"] == found(name)["folded"]


@every_log
def test_persons_scores_and_explanations_are_those_recorded(name: str) -> None:
    assert RECORD["logs"][name]["occurred"] == found(name)["occurred"]


@every_log
def test_read_models_hold_what_is_recorded(name: str) -> None:
    """Where VERSION of a read model was raised: run ``python -m tests.corpus --write``."""
    assert RECORD["logs"][name]["read_models"] == found(name)["read_models"]


@every_log
def test_a_rebuild_makes_the_same_of_old_events_as_keeping_up_with_them(
    name: str, tmp_path: Path
) -> None:
    log = LOGS[name]
    store = log.store(tmp_path / "corpus.db")
    runner = Runner(read_model_database(), store, log.rules(store))
    recorded = RECORD["logs"][name]["read_models"]
    try:
        after = runner.rebuild().after
    finally:
        runner.engine.dispose()
        store.close()
    assert {model: one["hash"] for model, one in recorded.items()} == after


# --- lines ----------------------------------------------------------------------------------------


@every_log
def test_a_line_that_is_stored_again_keeps_every_byte_and_gains_defaults_alone(name: str) -> None:
    for line in LOGS[name].lines:
        topic, state = encode(line.event)
        assert line.topic == topic
        said, again = json.loads(line.state), json.loads(state)
        gained = again.keys() - said.keys()
        assert gained <= _with_default(line.event), line
        kept = {key: value for key, value in again.items() if key not in gained}
        assert line.state == _compact(kept), line


def _with_default(event: Event) -> set[str]:
    """Return the fields that *event* has by default alone."""
    kind = type(event)
    needed = {
        name: getattr(event, name)
        for name, field in kind.__dataclass_fields__.items()
        if _is_needed(field)
    }
    plain = kind(**needed)
    return {
        name
        for name in kind.__dataclass_fields__.keys() - needed.keys()
        if getattr(plain, name) == getattr(event, name)
    }


def _is_needed(field: Any) -> bool:
    return field.default is field.default_factory  # both are MISSING


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize("kind", EVENTS)
def test_the_corpus_holds_the_newest_shape_of_every_event(kind: type[Event]) -> None:
    """A field was added: add a log that has it (CONTRIBUTING.md, Stored events)."""
    newest = [line for line in LINES if type(line.event) is kind and _is_newest(line, kind)]
    assert newest
    assert all(encode(line.event) == (line.topic, line.state.encode()) for line in newest)


def _is_newest(line: Line, kind: type[Event]) -> bool:
    return list(json.loads(line.state)) == list(kind.__dataclass_fields__)


@pytest.mark.parametrize(
    "kind, missing",
    [
        (
            LeadMerged,
            "cycle_kind intent qualified criteria opportunities recycled_until",
        ),
        (PolicyPublished, "approved_by"),
    ],
)
def test_the_corpus_holds_events_of_before_a_field_was_added(
    kind: type[Event], missing: str
) -> None:
    older = [
        line
        for line in LINES
        if type(line.event) is kind and not set(missing.split()) & json.loads(line.state).keys()
    ]
    assert older


@pytest.mark.parametrize("type_", FAMILY_OF)
def test_every_type_stands_there_with_what_it_must_have_and_with_all_it_may_have(
    type_: str,
) -> None:
    facts = [fact for fact in FACTS if fact.type == type_]
    assert any(fact.touch and fact.traits and fact.data and fact.actor_id for fact in facts)
    assert any(fact.touch is None and fact.traits is None for fact in facts)
    assert type_ in LEADLESS or all(fact.keys for fact in facts)


def test_types_of_no_vocabulary_are_facts_even_by_the_name_of_a_decision() -> None:
    unknown = {fact.type for fact in FACTS if fact.type not in FAMILY_OF}
    assert {"custom.badge_scanned", "lead.stage_entered", "policy.published"} == unknown


def test_every_pack_and_every_kind_of_cycle_is_there() -> None:
    assert PACKS.keys() == {log.policy.pack.name for log in LOGS.values()}
    kinds = {getattr(line.event, "cycle_kind", "new") for line in LINES}
    assert {"new", "recycled", "reopened", "expansion"} == kinds


def test_nobody_real_is_in_the_corpus() -> None:
    known = {key for fact in FACTS for key in (*fact.keys, *others_of(fact))}
    assert all(value.endswith("@example.com") for kind, value in known if kind == "email")
    # a range that the British regulator gives to films and books
    assert all(value.startswith("+442079460") for kind, value in known if kind == "phone")


# --- how folds look at fields ---------------------------------------------------------------------


@every_log
def test_a_fold_does_not_depend_on_the_order_of_fields(name: str) -> None:
    log, shape = LOGS[name], shape_now()
    turned: dict[str, list[Event]] = {}
    for line in log.lines:
        state = _turned(json.loads(line.state), inside=line.topic.startswith(FACT_TOPIC))
        event = decode(line.topic, _compact(state).encode())
        assert of_event(line.event, shape) == of_event(event, shape)
        turned.setdefault(line.stream, []).append(event)
    for stream in turned:
        lead = fold_streams(turned, stream)
        assert of_lead(fold_streams(log.streams(), stream), shape) == of_lead(lead, shape)


def _turned(value: Any, *, inside: bool) -> Any:
    """Return *value* with its fields in the other order.

    The criteria and opportunities of a decision stay: their order says which came last.
    """
    if isinstance(value, dict):
        turned = reversed(value.items())
        return {key: _turned(one, inside=inside) if inside else one for key, one in turned}
    if isinstance(value, list):
        return [_turned(one, inside=inside) for one in value]
    return value


# --- snapshots ------------------------------------------------------------------------------------


@pytest.mark.parametrize("snapshot", read_snapshots(), ids=attrgetter("log", "stream"))
def test_a_snapshot_of_any_version_is_the_fold_up_to_it(snapshot: Snapshot) -> None:
    streams = LOGS[snapshot.log].streams()
    events = streams[snapshot.stream]
    read = decode_lead(snapshot.state.encode())
    assert fold(events[: snapshot.version]) == read
    assert fold(events) == fold(events[snapshot.version :], read)


def test_the_corpus_holds_snapshots_of_before_verdicts_were_kept() -> None:
    kept = {"judged" in json.loads(snapshot.state) for snapshot in read_snapshots()}
    assert {False, True} == kept


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Return a corpus of one log, recorded, to change at will."""
    folder = tmp_path / "corpus"
    (folder / "logs").mkdir(parents=True)
    shutil.copytree(HERE / "policies", folder / "policies")
    shutil.copy(HERE / "logs" / "first_shapes.jsonl", folder / "logs")
    record = {"shapes": RECORD["shapes"], "logs": {"first_shapes": RECORD["logs"]["first_shapes"]}}
    (folder / FILE).write_text(json.dumps(record), encoding="utf-8")
    return folder


def change(corpus: Path, **changes: Any) -> None:
    """Let the record of the log say something else."""
    record = read_record(corpus)
    record["logs"]["first_shapes"] |= changes
    (corpus / FILE).write_text(json.dumps(record), encoding="utf-8")


def test_writing_again_changes_nothing(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = read_record(corpus)
    assert main(["--write"], corpus) == 0
    assert "Nothing is new.\n" == capsys.readouterr().out
    assert before == read_record(corpus)


@pytest.mark.parametrize(
    "part, options",
    [("folded", ["--judged-anew"]), ("decoded", ["--judged-anew"]), ("occurred", [])],
)
def test_what_folds_otherwise_is_refused(
    corpus: Path, part: str, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = RECORD["logs"]["first_shapes"][part]
    change(
        corpus,
        **{part: "0" * 64 if isinstance(recorded, str) else dict(list(recorded.items())[1:])},
    )
    before = (corpus / FILE).read_bytes()
    assert main(["--write", *options], corpus) == 1
    assert f"first_shapes: {part}" in capsys.readouterr().err
    assert before == (corpus / FILE).read_bytes()


def test_what_is_meant_to_be_judged_anew_is_recorded_anew(corpus: Path) -> None:
    change(corpus, occurred={})
    assert main(["--write", "--judged-anew"], corpus) == 0
    assert RECORD["logs"]["first_shapes"] == read_record(corpus)["logs"]["first_shapes"]


def test_an_edited_line_is_refused_and_so_is_a_missing_log(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = corpus / "logs" / "first_shapes.jsonl"
    file.write_text(file.read_text(encoding="utf-8").replace("spring", "summer"), encoding="utf-8")
    assert main(["--write"], corpus) == 1
    assert "what is new goes into a new log" in capsys.readouterr().err
    file.unlink()
    assert main(["--write"], corpus) == 1
    assert "its log is gone" in capsys.readouterr().err


@pytest.mark.parametrize("raised, code", [(0, 1), (1, 0)])
def test_a_read_model_is_recorded_anew_only_when_its_version_was_raised(
    corpus: Path, raised: int, code: int
) -> None:
    models = RECORD["logs"]["first_shapes"]["read_models"]
    before = {"version": models["pipeline"]["version"] - raised, "hash": "0" * 64}
    change(corpus, read_models=models | {"pipeline": before})
    assert code == main(["--write"], corpus)
    now = read_record(corpus)["logs"]["first_shapes"]["read_models"]["pipeline"]
    assert (before if code else models["pipeline"]) == now


def test_a_read_model_that_is_new_or_gone_is_no_change_of_another(corpus: Path) -> None:
    entry: Mapping[str, Any] = RECORD["logs"]["first_shapes"]
    less = {name: one for name, one in entry["read_models"].items() if name != "people"}
    assert [] == forbidden({**entry, "read_models": less}, dict(entry))
    assert [] == forbidden(dict(entry), {**entry, "read_models": less})


def test_a_new_log_comes_from_an_event_store_with_the_policy_of_its_workers(
    corpus: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'some.db'}"
    upgrade(url)
    store = open_store(url)
    policy: Policy = load_policy()
    publish(store, policy, policy, by="ada@example.com", reason="the first", now=1)
    store.close()
    added = ["--add", "newer", "--from", url, "--about", "A publication."]
    assert main(["--write", *added], corpus) == 0
    logs: Mapping[str, Log] = {log.name: log for log in read_logs(corpus)}
    assert ["policy.published"] == [line.topic for line in logs["newer"].lines]
    assert policy.version == logs["newer"].policy.version
    assert read_record(corpus)["logs"].keys() == logs.keys()
    with pytest.raises(FileExistsError):
        main(["--write", *added], corpus)


def test_lines_of_a_stream_have_versions_without_gaps() -> None:
    for log in LOGS.values():
        by_stream = groupby(sorted(log.lines), key=attrgetter("stream"))
        for stream, lines in by_stream:
            versions = [line.version for line in lines]
            assert versions == list(range(1, len(versions) + 1)), stream
