-- How many leads stood in which stage when a month ended, the running one up to now.
select m.month, s.stage, o.is_open, count(*) as leads
from {{ ref('months') }} as m
inner join {{ ref('stg_stages') }} as s
    on s.entered_at < m.ends_at and (s.exited_at is null or s.exited_at >= m.ends_at)
inner join {{ ref('stage_order') }} as o on o.stage = s.stage
group by all
