select
    lead_id,
    n as conversion,
    kind,
    converted_at,
    cycle,
    opportunity,
    amount,
    currency,
    kind = 'won' and n = min(n) filter (where kind = 'won') over (partition by lead_id)
        as is_new_customer
from {{ source('leadflow', 'v_conversions') }}
