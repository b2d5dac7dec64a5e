select
    lead_id,
    conversion,
    model,
    touch,
    kind,
    converted_at,
    channel,
    source,
    campaign,
    touch > 0 as is_touched,
    credit,
    amount,
    currency
from {{ source('leadflow', 'v_credit') }}
