select
    lead_id,
    n,
    opportunity,
    status,
    amount,
    currency,
    stage_name,
    created_at,
    closed_at
from {{ source('leadflow', 'v_opportunities') }}
