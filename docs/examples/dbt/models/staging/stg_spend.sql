select
    cast(day as date) as spent_on,
    channel,
    source,
    campaign,
    amount,
    currency,
    fact_source,
    fact_id
from {{ source('leadflow', 'v_spend') }}
