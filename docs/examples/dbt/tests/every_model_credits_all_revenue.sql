-- Each model divides the same deals: per currency the credited revenue is what was won.
with won as (
    select currency, sum(amount) as amount
    from {{ ref('stg_conversions') }}
    where kind = 'won' and amount is not null
    group by currency
)
select m.model, w.currency, w.amount, sum(r.revenue) as credited
from won as w
cross join (select distinct model from {{ ref('stg_credit') }}) as m
left join {{ ref('revenue_by_campaign') }} as r
    on r.model = m.model and r.currency = w.currency
group by all
having sum(r.revenue) is distinct from w.amount
