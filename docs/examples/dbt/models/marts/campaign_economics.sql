-- What each campaign cost and brought, per currency, as the linear model credits.
-- Leads and customers have no currency: they stand in each row of their campaign.
-- Revenue is null where there are deals, but none of known amount in that currency; a ratio is
-- null where there is nothing to divide by.
with spent as (
    select campaign, currency, sum(amount) as spend
    from {{ ref('stg_spend') }}
    where campaign is not null
    group by all
),

earned as (
    select campaign, currency, sum(amount) as revenue
    from {{ ref('stg_credit') }}
    where model = 'linear' and kind = 'won' and is_touched and amount is not null
    group by all
),

customers as (
    select
        r.campaign,
        sum(r.credit) filter (where r.kind = 'mql') as mql,
        sum(r.credit) filter (where r.kind = 'won') as deals,
        sum(r.credit) filter (where k.is_new_customer) as customers
    from {{ ref('stg_credit') }} as r
    inner join {{ ref('stg_conversions') }} as k
        on k.lead_id = r.lead_id and k.conversion = r.conversion
    where r.model = 'linear' and r.is_touched
    group by all
),

captured as (
    select campaign, count(*) as leads
    from {{ ref('stg_leads') }}
    where captured_at is not null
    group by campaign
),

paid as (
    select
        coalesce(s.campaign, e.campaign) as campaign,
        coalesce(s.currency, e.currency) as currency,
        s.spend,
        e.revenue as known_revenue
    from spent as s
    full outer join earned as e
        on e.campaign is not distinct from s.campaign and e.currency = s.currency
),

told as (
    select
        coalesce(p.campaign, '(no campaign)') as campaign,
        p.currency,
        coalesce(l.leads, 0) as leads,
        coalesce(c.mql, 0) as mql,
        coalesce(c.customers, 0) as customers,
        p.spend,
        case when coalesce(c.deals, 0) = 0 then 0 else p.known_revenue end as revenue
    from paid as p
    left join customers as c on c.campaign is not distinct from p.campaign
    left join captured as l on l.campaign is not distinct from p.campaign
)

select
    *,
    spend / nullif(leads, 0) as cost_per_lead,
    spend / nullif(mql, 0) as cost_per_mql,
    spend / nullif(customers, 0) as cac,
    revenue / nullif(spend, 0) as roas
from told
