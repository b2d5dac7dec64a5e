"""Which errors a user is told in one line, and which are bugs."""

from typing import Final

EXPECTED: Final = {
    "consumers.cluster": ("StreamError", "TopicMissing", "LogMismatch"),
    "consumers.ledger": ("Conflict", "Fenced", "StoreUnavailable"),
    "consumers.malformed": ("Malformed",),
    "consumers.worker": ("Interrupted",),
    "leadflow.app": ("NotInitialised", "OtherRevision"),
    "leadflow.broker": ("BrokerFailed", "BrokerMissing"),
    "leadflow.charts": ("ChartsMissing",),
    "leadflow.demo": ("DemoFailed",),
    "leadflow.dossier": ("LeadUnknown",),
    "leadflow.export_facts": ("PersonalDataRefused",),
    "leadflow.export_files": ("ColumnsMissing", "ExportRefused"),
    "leadflow.files": ("FileUnreadable", "Stopped"),
    "leadflow.fold_spark": ("SparkMissing",),
    "leadflow.importer.mapping": ("MapError",),
    "leadflow.importer.rows": ("CsvError",),
    "leadflow.lead_keys": ("KeyUnclear",),
    "leadflow.overheads": ("OverheadsUnreadable",),
    "leadflow.paths": ("PathsUnreadable",),
    "leadflow.policies": ("PolicyInvalid",),
    "leadflow.policy_book": ("PolicyUnchanged", "VersionUnknown"),
    "leadflow.query": ("DatabaseAbsent", "QueryStopped"),
    "leadflow.rooms": ("Shadowed",),
    "leadflow.rulings": ("RulingRefused",),
    "leadflow.settings": ("SettingsInvalid",),
    "leadflow.store": ("UnknownDatabase",),
    "leadflow.store.codec": ("UnknownTopic",),
    "leadflow.targets": ("TargetsInvalid",),
    "projections.grants": ("RolesRefused",),
    "projections.rebuild": ("NoOldSet", "NothingToResume", "RightMissing"),
    "projections.runner": ("NotReady",),
    "projections.workers": ("WorkerFailed",),
    "projections.writer": ("Superseded",),
    "sqlalchemy.exc": ("DatabaseError",),
}
"""Modules, and their errors that say themselves what to do. Looked up by name, so that finding
what an error means imports nothing."""

_MENDS: Final = {
    "Conflict": "another worker was first too often; try again",
    "Fenced": "another worker has taken over what this one was reading; start it again",
}


def told(error: BaseException) -> str | None:
    """Return what to tell the user about *error*; None where it is a bug."""
    for kind in type(error).__mro__:
        if kind.__name__ in EXPECTED.get(kind.__module__, ()):
            words = str(getattr(error, "orig", None) or error).strip()
            if kind.__module__ == "sqlalchemy.exc":
                words = f"the database failed: {words}"
            mend = _MENDS.get(kind.__name__)
            return words if mend is None else f"{words}; {mend}"
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        reason = error.strerror or str(error)
        return f"{error.filename}: {reason}" if error.filename else reason
    return None
