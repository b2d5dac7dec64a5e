-- The months from the first event to the latest one.
select cast(month as date) as month, cast(month + interval 1 month as timestamptz) as ends_at
from (
    select unnest(generate_series(
        date_trunc('month', min(first_event_at)::timestamp),
        date_trunc('month', max(last_event_at)::timestamp),
        interval 1 month
    )) as month
    from {{ ref('stg_leads') }}
)
