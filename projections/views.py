"""Views for people: real timestamps, exact decimals, the id of the lead in every row.

Each view is written once; three words in it differ between the databases: ``@at(x)`` shows
microseconds as a timestamp (ISO 8601 text on SQLite), ``@money(x)`` minor units of the joined
currency ``c`` as an exact decimal (text on SQLite), ``@bool(x)`` a flag.

What a column means stands in ``projections.view_columns``, unless it is the column of the table
that the view is named after; what tells its rows apart in ``projections.dictionary``.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import Connection, Dialect, text

from domain.counts import PERSON
from domain.outreach import CHANNEL_OF
from domain.speed import CLOSING, ENGINE_RULES
from domain.vocabulary import INTENT
from projections.credit import STORED
from projections.naming import LIVE, schema_of
from projections.schema import is_postgresql


def _listed(words: Iterable[str]) -> str:
    """Return *words* as SQL lists them."""
    return ", ".join(f"'{word}'" for word in sorted(words))


_CALLS: Final = [type_ for type_, channel in CHANNEL_OF.items() if channel == "phone"]

_VIEWS: Final[Mapping[str, tuple[str, str]]] = {
    "v_pipeline": (
        "Where every lead stands now",
        """
SELECT p.lead_id, p.stage, p.cycle, p.cycle_kind, @at(p.entered_at_us) AS entered_at,
  @at(p.captured_at_us) AS captured_at, @at(p.first_event_at_us) AS first_event_at,
  @at(p.last_event_at_us) AS last_event_at, @at(p.last_human_at_us) AS last_human_at,
  @at(p.person_updated_at_us) AS person_updated_at,
  p.events, p.prospect_events, p.rep_events,
  p.machine_events, @bool(p.is_hot) AS is_hot, p.owner, p.touches,
  @at(p.first_touch_at_us) AS first_touch_at, p.channel, p.source, p.medium, p.campaign, p.party,
  p.country, p.region, p.seniority, p.title, p.company, p.company_domain, p.account,
  p.company_size, p.industry, p.product, p.deals_open, p.deals_won, p.deals_lost
FROM pipeline p""",
    ),
    "v_stages": (
        "Every entry of a lead into a stage",
        """
SELECT p.lead_id, s.n, s.stage, s.cycle, s.cycle_kind, @at(s.entered_at_us) AS entered_at,
  @at(s.exited_at_us) AS exited_at, s.dwell_us / 1000000 AS dwell_seconds, s.previous,
  @bool(s.is_first) AS is_first, s.rule, s.policy, s.fact_source, s.fact_id
FROM stages s JOIN pipeline p ON p.lead_no = s.lead_no""",
    ),
    "v_decided": (
        "The stage of every lead as it was decided, beside the one as the events occurred",
        """
SELECT p.lead_id, d.stage_as_decided, p.stage AS stage_as_occurred,
  coalesce(d.stage_as_decided, '') <> coalesce(p.stage, '') AS is_different, d.cycle,
  @at(d.entered_at_us) AS entered_at, d.rule, d.policy
FROM decided d JOIN pipeline p ON p.lead_no = d.lead_no""",
    ),
    "v_touches": (
        "Every human touch",
        """
SELECT p.lead_id, t.n, @at(t.at_us) AS occurred_at, t.channel, t.source, t.medium, t.campaign,
  t.content, t.term, t.party, @bool(t.is_collapsed) AS is_collapsed, t.type, t.fact_source,
  t.fact_id
FROM touches t JOIN pipeline p ON p.lead_no = t.lead_no""",
    ),
    "v_conversions": (
        "First entries into mql, sql and opportunity per cycle, and every deal won",
        """
SELECT p.lead_id, k.n, k.kind, @at(k.at_us) AS converted_at, k.cycle, k.opportunity,
  @money(k.amount_minor) AS amount, k.currency, k.journey_touches
FROM conversions k JOIN pipeline p ON p.lead_no = k.lead_no
LEFT JOIN currencies c ON c.currency = k.currency""",
    ),
    "v_credit": (
        "What each touch earns of each conversion; one row per model",
        "\nUNION ALL".join(
            f"""
SELECT p.lead_id, '{name}' AS model, k.n AS conversion, k.kind, @at(k.at_us) AS converted_at,
  r.touch, coalesce(t.channel, '(none)') AS channel, t.source, t.medium, t.campaign,
  @nano(r.{name}_nano) AS credit, @money(r.{name}_minor) AS amount, k.currency
FROM credit r JOIN conversions k ON k.lead_no = r.lead_no AND k.n = r.n
JOIN pipeline p ON p.lead_no = r.lead_no
LEFT JOIN touches t ON t.lead_no = r.lead_no AND t.n = r.touch
LEFT JOIN currencies c ON c.currency = k.currency
WHERE r.{name}_nano > 0 OR r.{name}_minor <> 0"""  # noqa: S608 - the names of our own models
            for name in STORED
        ),
    ),
    "v_opportunities": (
        "Every opportunity",
        """
SELECT p.lead_id, o.n, o.opportunity, o.status, @money(o.amount_minor) AS amount, o.currency,
  o.product, o.stage_name, @at(o.created_at_us) AS created_at, @at(o.closed_at_us) AS closed_at,
  o.owner, o.reason, o.competitor, o.close_date
FROM opportunities o JOIN pipeline p ON p.lead_no = o.lead_no
LEFT JOIN currencies c ON c.currency = o.currency""",
    ),
    "v_people": (
        "Who the leads are: personal data",
        """
SELECT p.lead_id, w.name, w.email, w.phone, w.identifiers
FROM people w JOIN pipeline p ON p.lead_no = w.lead_no""",
    ),
    "v_consents": (
        "What every lead may be contacted for, by purpose and channel",
        """
SELECT p.lead_id, g.n, g.purpose, g.channel, g.state, @at(g.since_us) AS since,
  @at(g.until_us) AS until, @bool(g.is_proven) AS is_proven, g.fact_source, g.fact_id
FROM consents g JOIN pipeline p ON p.lead_no = g.lead_no""",
    ),
    "v_accounts": (
        "Companies with their leads; what they are worth: v_opportunities, by the account of its lead",
        """
SELECT a.account, a.leads, o.stage AS furthest_stage, a.deals_open, a.deals_won, a.owners,
  @at(a.first_us) AS first_event_at, @at(a.last_us) AS last_event_at
FROM (SELECT p.account, count(*) AS leads, max(coalesce(e.rank, -1) * 100 - e.n) AS furthest,
    CAST(sum(p.deals_open) AS BIGINT) AS deals_open,
    CAST(sum(p.deals_won) AS BIGINT) AS deals_won,
    count(DISTINCT p.owner) AS owners, min(p.first_event_at_us) AS first_us,
    max(p.last_event_at_us) AS last_us
  FROM pipeline p LEFT JOIN stage_order e ON e.stage = p.stage
  WHERE p.account IS NOT NULL GROUP BY p.account) a
LEFT JOIN stage_order o ON coalesce(o.rank, -1) * 100 - o.n = a.furthest""",
    ),
    "v_funnel": (
        "How many leads entered and reached each stage; a skipped stage is reached, not entered",
        """
SELECT o.stage, o.n,
  (SELECT count(DISTINCT s.lead_no) FROM stages s WHERE s.stage = o.stage) AS entered,
  (SELECT count(DISTINCT s.lead_no) FROM stages s JOIN stage_order e ON e.stage = s.stage
   WHERE s.stage = o.stage OR (o.is_path = 1 AND e.rank > o.rank)) AS reached
FROM stage_order o""",
    ),
    "v_sources": (
        "Leads, and how many of them ever entered a stage, by first touch",
        """
SELECT coalesce(p.channel, '(none)') AS channel, p.source, count(*) AS leads,
  count(CASE WHEN e.mql = 1 THEN 1 END) AS mql, count(CASE WHEN e.sal = 1 THEN 1 END) AS sal,
  count(CASE WHEN e.sql = 1 THEN 1 END) AS sql,
  count(CASE WHEN e.opportunity = 1 THEN 1 END) AS opportunity,
  count(CASE WHEN e.won = 1 THEN 1 END) AS won
FROM pipeline p LEFT JOIN (
  SELECT lead_no, max(CASE stage WHEN 'mql' THEN 1 ELSE 0 END) AS mql,
    max(CASE stage WHEN 'sal' THEN 1 ELSE 0 END) AS sal,
    max(CASE stage WHEN 'sql' THEN 1 ELSE 0 END) AS sql,
    max(CASE stage WHEN 'opportunity' THEN 1 ELSE 0 END) AS opportunity,
    max(CASE stage WHEN 'won' THEN 1 ELSE 0 END) AS won
  FROM stages GROUP BY lead_no) e ON e.lead_no = p.lead_no
GROUP BY p.channel, p.source""",
    ),
    "v_channel_matrix": (
        "Leads by channel of the first touch, and how many reached each stage in any cycle",
        """
SELECT coalesce(p.channel, '(none)') AS channel, count(*) AS leads,
  count(CASE WHEN r.rank >= 0 THEN 1 END) AS captured,
  count(CASE WHEN r.rank >= 2 THEN 1 END) AS mql, count(CASE WHEN r.rank >= 3 THEN 1 END) AS sal,
  count(CASE WHEN r.rank >= 4 THEN 1 END) AS sql,
  count(CASE WHEN r.rank >= 5 THEN 1 END) AS opportunity,
  count(CASE WHEN r.rank >= 6 THEN 1 END) AS won
FROM pipeline p LEFT JOIN (
  SELECT s.lead_no, max(CASE WHEN s.stage = 'sgl' THEN o.rank - 1 ELSE o.rank END) AS rank
  FROM stages s JOIN stage_order o ON o.stage = s.stage
  GROUP BY s.lead_no) r ON r.lead_no = p.lead_no
GROUP BY p.channel""",
    ),
    "v_handoffs": (
        "Every entry into mql, and what sales said first",
        """
SELECT h.lead_id, h.n, h.cycle, @at(h.mql_us) AS mql_at, h.rule, h.policy, h.status,
  @at(h.answered_us) AS answered_at, (h.answered_us - h.mql_us) / 1000000 AS waited_seconds,
  h.answered_by, h.reason, h.next_stage, h.owner
FROM (SELECT p.lead_id, p.owner, s.n, s.cycle, s.entered_at_us AS mql_us, s.rule, s.policy,
    CASE WHEN r.n IS NOT NULL THEN 'rejected'
      WHEN f.stage IN ('recycled', 'disqualified', 'lost') THEN f.stage
      WHEN f.stage IS NOT NULL THEN 'accepted' ELSE 'waiting' END AS status,
    coalesce(r.at_us, s.exited_at_us) AS answered_us, f.stage AS next_stage,
    CASE WHEN r.n IS NULL THEN a.actor_id ELSE r.actor_id END AS answered_by,
    CASE WHEN r.n IS NULL THEN a.reason ELSE r.reason END AS reason
  FROM stages s JOIN pipeline p ON p.lead_no = s.lead_no
  LEFT JOIN stages f ON f.lead_no = s.lead_no AND f.n = s.n + 1
  LEFT JOIN activities a ON a.lead_no = f.lead_no AND a.fact_source = f.fact_source
    AND a.fact_id = f.fact_id
  LEFT JOIN activities r ON r.lead_no = s.lead_no AND r.n = (SELECT min(w.n) FROM activities w
    WHERE w.lead_no = s.lead_no AND w.type = 'lead.rejected' AND w.at_us >= s.entered_at_us
    AND (s.exited_at_us IS NULL OR w.at_us <= s.exited_at_us))
  WHERE s.stage = 'mql') h""",
    ),
    "v_clocks": (
        "When leads asked, or became an MQL, and who tried first to reach them; one row per cycle",
        f"""
SELECT t.lead_id, t.cycle, CASE t.began - t.began_us * 4 WHEN 0 THEN 'asked' WHEN 1 THEN 'mql' ELSE 'sql' END
    AS start, @at(t.began_us) AS started_at, @at(a.at_us) AS attempted_at,
  (a.at_us - t.began_us) / 1000000 AS waited_seconds, a.actor_id AS attempted_by
FROM (SELECT p.lead_id, b.lead_no, b.cycle, b.began, b.began / 4 AS began_us,
    (SELECT min(w.n) FROM activities w WHERE w.lead_no = b.lead_no AND w.at_us >= b.began / 4
      AND (b.follows_us IS NULL OR w.at_us < b.follows_us)
      AND (b.closed_us IS NULL OR w.at_us <= b.closed_us)
      AND w.type IN ({_listed(CHANNEL_OF)}) AND ((w.actor = 'rep' AND (w.type NOT IN ({_listed(_CALLS)})
        OR w.direction IS NULL OR w.direction <> 'inbound'))
      OR (w.actor = 'unknown' AND w.type IN ({_listed(_CALLS)})
        AND w.direction = 'outbound'))) AS tried
  FROM (SELECT c.lead_no, c.cycle, c.follows_us, c.closed_us, min(s.began) AS began
    FROM (SELECT lead_no, cycle, min(entered_at_us) AS opened_us,
        lead(min(entered_at_us)) OVER (PARTITION BY lead_no ORDER BY cycle) AS follows_us,
        min(CASE WHEN stage IN ({_listed(CLOSING)}) THEN entered_at_us END) AS closed_us
      FROM stages GROUP BY lead_no, cycle) c
    JOIN (SELECT lead_no, at_us, at_us * 4 AS began FROM activities
        WHERE type IN ({_listed(INTENT)}) AND actor IN ({_listed(PERSON)})
      UNION ALL
      SELECT lead_no, entered_at_us, entered_at_us * 4 + 1 FROM stages WHERE stage = 'mql'
      UNION ALL
      SELECT lead_no, entered_at_us, entered_at_us * 4 + 2 FROM stages
        WHERE stage = 'sql' AND rule IN ({_listed(ENGINE_RULES)})) s
    ON s.lead_no = c.lead_no AND s.at_us >= c.opened_us
      AND (c.follows_us IS NULL OR s.at_us < c.follows_us)
    GROUP BY c.lead_no, c.cycle, c.follows_us, c.closed_us) b
  JOIN pipeline p ON p.lead_no = b.lead_no
  WHERE b.closed_us IS NULL OR b.began / 4 <= b.closed_us) t
LEFT JOIN activities a ON a.lead_no = t.lead_no AND a.n = t.tried""",  # noqa: S608 - our own words
    ),
    "v_spend": (
        "What marketing cost: every report that counts; refunds are below zero",
        """
SELECT s.day, s.channel, s.source, s.campaign, @money(s.amount_minor) AS amount, s.currency,
  @at(s.at_us) AS reported_at, s.fact_source, s.fact_id
FROM spend s LEFT JOIN currencies c ON c.currency = s.currency""",
    ),
    "v_economics": (
        "By month and campaign: money per currency; leads and linear credit where currency is null",
        """
SELECT m.month, m.campaign, m.currency, m.leads, @nano(m.mql_nano) AS mql,
  @nano(m.customers_nano) AS customers, @money(m.spend_minor) AS spend,
  @money(m.revenue_minor) AS revenue
FROM (SELECT e.month, e.campaign, e.currency, sum(e.leads) AS leads, sum(e.mql_nano) AS mql_nano,
    sum(e.customers_nano) AS customers_nano, sum(e.spend_minor) AS spend_minor,
    sum(e.revenue_minor) AS revenue_minor
  FROM (
    SELECT @month(p.captured_at_us) AS month, p.campaign, CAST(NULL AS TEXT) AS currency,
      1 AS leads, 0 AS mql_nano, 0 AS customers_nano, CAST(NULL AS BIGINT) AS spend_minor,
      CAST(NULL AS BIGINT) AS revenue_minor
    FROM pipeline p WHERE p.captured_at_us IS NOT NULL
    UNION ALL
    SELECT substr(s.day, 1, 7), s.campaign, s.currency, 0, 0, 0, s.amount_minor,
      CAST(NULL AS BIGINT)
    FROM spend s
    UNION ALL
    SELECT @month(k.at_us), t.campaign, CAST(NULL AS TEXT), 0,
      CASE WHEN k.kind = 'mql' THEN r.linear_nano ELSE 0 END,
      CASE WHEN f.n IS NULL THEN 0 ELSE r.linear_nano END, CAST(NULL AS BIGINT),
      CAST(NULL AS BIGINT)
    FROM credit r JOIN conversions k ON k.lead_no = r.lead_no AND k.n = r.n
    LEFT JOIN touches t ON t.lead_no = r.lead_no AND t.n = r.touch
    LEFT JOIN (SELECT lead_no, min(n) AS n FROM conversions WHERE kind = 'won' GROUP BY lead_no) f
      ON f.lead_no = k.lead_no AND f.n = k.n
    WHERE k.kind IN ('mql', 'won')
    UNION ALL
    SELECT @month(k.at_us), t.campaign, k.currency, 0, 0, 0, CAST(NULL AS BIGINT), r.linear_minor
    FROM credit r JOIN conversions k ON k.lead_no = r.lead_no AND k.n = r.n
    LEFT JOIN touches t ON t.lead_no = r.lead_no AND t.n = r.touch
    WHERE k.kind = 'won' AND k.amount_minor IS NOT NULL) e
  GROUP BY e.month, e.campaign, e.currency) m
LEFT JOIN currencies c ON c.currency = m.currency""",
    ),
}

_WORDS: Final = re.compile(r"@(at|month|money|nano|bool)\(([a-z_.]+)\)")

_SQLITE: Final = {
    "at": "strftime('%Y-%m-%dT%H:%M:%S', {0} / 1000000, 'unixepoch')"
    " || printf('.%06dZ', {0} % 1000000)",
    "month": "strftime('%Y-%m', {0} / 1000000, 'unixepoch')",
    "money": "CASE WHEN {0} IS NULL THEN NULL WHEN coalesce(c.exponent, 0) = 0 THEN CAST({0} AS"
    " TEXT) ELSE printf('%s%d.%0*d', CASE WHEN {0} < 0 THEN '-' ELSE '' END, abs({0}) / c.unit,"
    " c.exponent, abs({0}) % c.unit) END",
    "nano": "printf('%d.%09d', {0} / 1000000000, {0} % 1000000000)",
    "bool": "{0}",
}
_POSTGRESQL: Final = {
    "at": "TIMESTAMP WITH TIME ZONE 'epoch' + {0} * INTERVAL '1 microsecond'",
    "month": "to_char(TIMESTAMP 'epoch' + {0} * INTERVAL '1 microsecond', 'YYYY-MM')",
    "money": "round({0}::numeric / coalesce(c.unit, 1), coalesce(c.exponent, 0))",
    "nano": "round({0}::numeric / 1000000000, 9)",
    "bool": "({0} = 1)",
}


def view_texts(dialect: Dialect) -> dict[str, str]:
    """Return the query of each view in the words of the database."""
    words = _POSTGRESQL if is_postgresql(dialect) else _SQLITE
    return {
        name: _WORDS.sub(lambda match: words[match[1]].format(match[2]), query).strip()
        for name, (_, query) in _VIEWS.items()
    }


VIEW_COMMENTS: Final[Mapping[str, str]] = {name: said for name, (said, _) in _VIEWS.items()}
"""What each view shows."""


def shown_as(view: str) -> dict[str, str]:
    """Return the columns of *view* that a word makes readable, and the word: at, money, nano, bool."""
    first = _VIEWS[view][1].split("UNION ALL")[0]
    found = re.findall(r"@(at|money|nano|bool)\(([a-z_.]+)\)(?: AS ([a-z_]+))?", first)
    return {label or column.partition(".")[2]: word for word, column, label in found}


def create_views(connection: Connection, which: str = LIVE) -> None:
    """Create all views of a set; ``projections.dictionary`` has their comments.

    On SQLite only the live set has views: they are about tables by name.
    """
    dialect = connection.dialect
    schema = schema_of(dialect, which)
    if schema is not None:
        # unqualified names in the views become the tables of this set, and stay these
        connection.execute(
            text("SELECT set_config('search_path', :schema, true)"), {"schema": schema}
        )
    elif which != LIVE:
        return
    for name, query in view_texts(dialect).items():
        create_view(connection, name, query)


def create_view(connection: Connection, name: str, query: str) -> None:
    """Create one view where unqualified names are found."""
    connection.exec_driver_sql(f"CREATE VIEW {name} AS {query}")


def drop_views(connection: Connection) -> None:
    """Drop the views of the live set."""
    for name in _VIEWS:
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
