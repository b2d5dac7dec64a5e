-- What each campaign earned of the deals that were won, by each attribution model and currency.
-- Currencies are never added together; a deal of unknown amount counts in `deals` alone.
select
    case when not is_touched then '(no touch)' else coalesce(campaign, '(no campaign)') end
        as campaign,
    model,
    currency,
    sum(credit) as deals,
    sum(amount) as revenue
from {{ ref('stg_credit') }}
where kind = 'won'
group by all
