-- One row per lead: where it stands, where it came from, how far it got and how long that took.
with reached as (
    select
        s.lead_id,
        -- who was found by sales (sgl) has passed mql, and was not accepted (sal)
        max(case when s.stage = 'sgl' then o.way - 1 else o.way end) as furthest,
        min(s.entered_at) filter (where s.stage = 'mql') as mql_at,
        min(s.entered_at) filter (where s.stage = 'sql') as sql_at,
        min(s.entered_at) filter (where s.stage = 'opportunity') as opportunity_at
    from {{ ref('stg_stages') }} as s
    inner join {{ ref('stage_order') }} as o on o.stage = s.stage
    group by s.lead_id
),

won as (
    select lead_id, converted_at as customer_since
    from {{ ref('stg_conversions') }}
    where is_new_customer
)

select
    l.lead_id,
    l.stage,
    coalesce(o.is_open, false) as is_open,
    furthest.stage as furthest_stage,
    coalesce(l.channel, '(none)') as channel,
    l.source,
    l.campaign,
    l.owner,
    l.country,
    l.industry,
    l.account,
    l.captured_at,
    r.mql_at,
    r.sql_at,
    r.opportunity_at,
    w.customer_since,
    date_diff('second', l.captured_at, w.customer_since) / 86400.0 as days_to_customer,
    l.deals_open,
    l.deals_won,
    l.deals_lost,
    l.last_event_at
from {{ ref('stg_leads') }} as l
left join reached as r on r.lead_id = l.lead_id
left join won as w on w.lead_id = l.lead_id
left join {{ ref('stage_order') }} as o on o.stage = l.stage
left join {{ ref('stage_order') }} as furthest
    on furthest.way = r.furthest and furthest.is_path
