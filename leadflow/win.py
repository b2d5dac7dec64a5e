"""How likely leads are to be won, and why: documents of `leadflow win` and `leadflow lead odds`."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, select

from domain.calibration import ONE, Bin
from domain.policy import Policy
from domain.scoring import fit, score_of
from domain.stages import OPEN, WON
from domain.win import Features, Outcome, Predictor, log_odds, train
from leadflow.dossier import LeadUnknown
from leadflow.instants import rfc3339
from projections.pipeline import observed_until, pipeline
from projections.win import FEATURES, TAGS, Case, Grade, cases

_OPEN: Final = OPEN - {None}


def win(connection: Connection, policy: Policy, as_of: int | None, most: int) -> dict[str, Any]:
    """Return how far the probabilities can be believed, and the *most* likely open leads.

    The read models are those at *as_of*, microseconds UTC; None is the instant of the latest
    event. *policy* grades the fit.
    """
    found = list(cases(connection, _grade(policy)))
    predictor = _train(found)
    chances = [
        (predictor.chance(case.features), predictor.model.chance(case.features), case)
        for case in found
        if case.outcome is None and case.stage in _OPEN
    ]
    tells = _tells_apart(predictor)
    chances.sort(key=lambda one: (-one[0], -one[1] if tells else 0, one[2].lead_id))
    at = observed_until(connection, as_of)
    return {
        "as_of": None if at is None else rfc3339(at),
        **_report(predictor),
        "features": list(FEATURES),
        "open": len(chances),
        "leads": [
            {
                "lead_id": case.lead_id,
                "stage": case.stage,
                "cycle": case.cycle,
                "probability": _share(chance),
            }
            for chance, _, case in chances[:most]
        ],
    }


def open_chances(connection: Connection, policy: Policy) -> dict[int, int] | None:
    """Return how likely each open lead is to be won, by its number, in parts of `ONE`.

    None where that cannot be believed: there are too few outcomes to calibrate it, or what is
    known of the leads does not tell the won from the lost. *policy* grades the fit.
    """
    found = list(cases(connection, _grade(policy)))
    predictor = _train(found)
    if predictor.steps is None or not _tells_apart(predictor):
        return None
    return {
        case.lead_no: predictor.chance(case.features)
        for case in found
        if case.outcome is None and case.stage in _OPEN
    }


def odds(connection: Connection, policy: Policy, as_of: int | None, lead_id: str) -> dict[str, Any]:
    """Return how likely the lead of that id is to be won, and what speaks for it.

    A lead that was won or lost has an outcome and no probability. Raises LeadUnknown where the
    read models do not know the lead.
    """
    lead = connection.execute(
        select(pipeline.c.lead_no, pipeline.c.lead_id, pipeline.c.stage, pipeline.c.cycle).where(
            pipeline.c.lead_id == lead_id
        )
    ).one_or_none()
    if lead is None:
        raise LeadUnknown("the read models do not know the lead: leadflow project")
    at = observed_until(connection, as_of)
    found = list(cases(connection, _grade(policy)))
    predictor = _train(found)
    case = next(
        (one for one in found if (one.lead_no, one.cycle) == (lead.lead_no, lead.cycle)), None
    )
    document: dict[str, Any] = {
        "lead_id": lead.lead_id,
        "as_of": None if at is None else rfc3339(at),
        "stage": lead.stage,
        "cycle": lead.cycle,
        "outcome": None if case is None else case.outcome,
        "probability": None,
        "uncalibrated": None,
        "prior": None,
        "log_odds": None,
        "reasons": [],
        "silent": [],
        **{name: value for name, value in _report(predictor).items() if name != "reliability"},
    }
    if case is not None and case.outcome is None:
        document |= _reasons(predictor, case.features)
    return document


def _grade(policy: Policy) -> Grade:
    """Return what grades the fit of traits; what decides on it is remembered."""
    known: dict[tuple[tuple[str, Any], ...], str] = {}

    def grade(traits: Mapping[str, Any]) -> str:
        key = tuple(traits.items())
        if key not in known:
            known[key] = score_of(fit(dict(traits), policy), 0, policy).grade[:1]
        return known[key]

    return grade


def _train(found: list[Case]) -> Predictor:
    outcomes = [
        Outcome(case.lead_id, case.features, case.outcome == WON, case.passed)
        for case in found
        if case.outcome is not None
    ]
    return train(outcomes, TAGS)


def _tells_apart(predictor: Predictor) -> bool:
    """Return whether the features say more than the base rate, as far as is known."""
    return predictor.steps is None or len(predictor.steps.scores) > 1


def _report(predictor: Predictor) -> dict[str, Any]:
    """Return how far the probabilities can be believed."""
    model, evaluation = predictor.model, predictor.evaluation
    return {
        "outcomes": predictor.outcomes,
        "won": model.won,
        "lost": model.lost,
        "base_rate": round(model.won / predictor.outcomes, 6) if predictor.outcomes else None,
        "calibrated": predictor.steps is not None,
        "tells_apart": _tells_apart(predictor),
        "brier": None if evaluation is None else round(float(evaluation.brier), 6),
        "brier_uncalibrated": (
            None if evaluation is None else round(float(evaluation.brier_uncalibrated), 6)
        ),
        "brier_base_rate": None if evaluation is None else round(float(evaluation.brier_base), 6),
        "reliability": [] if evaluation is None else [_bin(one) for one in evaluation.reliability],
    }


def _bin(one: Bin) -> dict[str, Any]:
    return {
        "from": float(one.low),
        "to": float(one.high),
        "outcomes": one.outcomes,
        "won": one.won,
        "predicted": round(float(one.predicted), 6),
        "observed": round(one.won / one.outcomes, 6),
        "interval": [round(float(end), 6) for end in one.interval],
    }


def _share(chance: int) -> float:
    return round(chance / ONE, 6)


def _reasons(predictor: Predictor, features: Features) -> dict[str, Any]:
    """Return the probability and what each known value says.

    The points add up to the logarithm of the odds before calibration, to a unit or so of their
    sixth decimal.
    """
    model = predictor.model
    reasons = model.reasons(features)
    spoken = {(one.feature, one.value) for one in reasons}
    return {
        "probability": _share(predictor.chance(features)),
        "uncalibrated": _share(model.chance(features)),
        "prior": _text(log_odds(model.prior)),
        "log_odds": _text(log_odds(model.odds(features))),
        "reasons": [
            {
                "feature": one.feature,
                "value": one.value,
                "won": one.won,
                "lost": one.lost,
                "ratio": round(float(one.ratio), 6),
                "points": _text(one.points),
            }
            for one in sorted(reasons, key=lambda one: (-abs(one.points), one.feature, one.value))
        ],
        "silent": [
            {"feature": feature, "value": value}
            for feature, values in features.items()
            for value in values
            if (feature, value) not in spoken
        ],
    }


def _text(points: Decimal) -> str:
    return f"{points:f}"
