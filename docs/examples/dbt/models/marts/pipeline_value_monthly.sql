-- What the open opportunities of leads in an open stage were worth when a month ended.
-- Amounts are those known latest; what was known then is `leadflow export --as-of`.
select
    m.month,
    p.currency,
    count(*) as opportunities,
    sum(p.amount) as amount
from {{ ref('months') }} as m
inner join {{ ref('stg_opportunities') }} as p
    on p.created_at < m.ends_at and (p.closed_at is null or p.closed_at >= m.ends_at)
inner join {{ ref('stg_stages') }} as s
    on
        s.lead_id = p.lead_id
        and s.entered_at < m.ends_at
        and (s.exited_at is null or s.exited_at >= m.ends_at)
inner join {{ ref('stage_order') }} as o on o.stage = s.stage and o.is_open
where p.amount is not null and p.currency is not null
group by all
