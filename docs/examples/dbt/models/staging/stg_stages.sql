select
    lead_id,
    n,
    stage,
    cycle,
    entered_at,
    exited_at,
    dwell_seconds,
    is_first
from {{ source('leadflow', 'v_stages') }}
