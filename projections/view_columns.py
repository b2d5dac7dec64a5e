"""Type and meaning of the columns of views that no table has under the same name.

A column that is not here is the one of the table that the view is named after: ``v_touches.medium``
that of ``touches``. A key without a dot stands for every view that has such a column.
"""

from collections.abc import Mapping
from typing import Final

VIEW_COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "lead_id": ("text", "Id of the lead; see v_pipeline"),
    "v_stages.dwell_seconds": ("integer", "Seconds between both; null while it is the stage"),
    "v_decided.stage_as_occurred": (
        "text",
        "Stage code as in v_pipeline: late and corrected counted",
    ),
    "v_decided.is_different": ("boolean", "True where the two stages differ"),
    "v_touches.occurred_at": ("timestamp", "When it happened"),
    "v_conversions.converted_at": ("timestamp", "When it happened"),
    "v_conversions.amount": (
        "decimal",
        "Of a won deal what the winning event says, of an opportunity its latest; null where unknown",
    ),
    "v_opportunities.amount": ("decimal", "Latest known amount; null where unknown"),
    "v_credit.model": ("text", "Attribution model"),
    "v_credit.conversion": ("integer", "Number of the conversion of the lead; see v_conversions"),
    "v_credit.kind": ("text", "mql, sql, opportunity or won"),
    "v_credit.converted_at": ("timestamp", "When the conversion happened"),
    "v_credit.touch": ("integer", "Number of the touch of the lead, see v_touches; 0: none"),
    "v_credit.channel": ("text", "Channel of the touch; (none) where there was no touch"),
    "v_credit.source": ("text", "Marketing source of the touch"),
    "v_credit.medium": ("text", "Medium of the touch"),
    "v_credit.campaign": ("text", "Campaign of the touch"),
    "v_credit.credit": ("decimal", "Part of the conversion: 0 to 1, nine decimals"),
    "v_credit.amount": ("decimal", "Part of its amount; the parts sum to the amount exactly"),
    "v_credit.currency": ("text", "ISO 4217 code of the amount"),
    "v_accounts.account": ("text", "Registrable domain of the company; see v_pipeline"),
    "v_accounts.leads": ("integer", "Leads of the company"),
    "v_accounts.furthest_stage": ("text", "Furthest stage that one of its leads is in now"),
    "v_accounts.deals_open": ("integer", "Opportunities that are open"),
    "v_accounts.deals_won": ("integer", "Opportunities that were won last"),
    "v_accounts.owners": ("integer", "How many own a lead of it"),
    "v_accounts.first_event_at": ("timestamp", "When the first event of a lead of it happened"),
    "v_accounts.last_event_at": ("timestamp", "When the latest event of a lead of it happened"),
    "v_funnel.stage": ("text", "Stage code"),
    "v_funnel.n": ("integer", "Place in machine order, from 1"),
    "v_funnel.entered": ("integer", "Leads that ever entered the stage"),
    "v_funnel.reached": ("integer", "Leads that entered it, or a later one on the way to a deal"),
    "v_sources.channel": ("text", "Channel of the first touch; (none) where there was none"),
    "v_sources.source": ("text", "Marketing source of the first touch"),
    "v_sources.leads": ("integer", "Leads"),
    "v_sources.mql": ("integer", "Leads that ever entered mql"),
    "v_sources.sal": ("integer", "Leads that ever entered sal"),
    "v_sources.sql": ("integer", "Leads that ever entered sql"),
    "v_sources.opportunity": ("integer", "Leads that ever entered opportunity"),
    "v_sources.won": ("integer", "Leads that ever entered won"),
}
"""``view.column`` to type (text, integer, decimal, timestamp, boolean, float) and meaning."""
