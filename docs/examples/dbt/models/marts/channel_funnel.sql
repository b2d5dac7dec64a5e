-- How many leads of each channel reached each stage, in whichever cycle.
-- Who is further on the way has been at the stages before.
with counted as (
    select
        l.channel,
        count(*) as leads,
        count(*) filter (where o.way >= 0) as captured,
        count(*) filter (where o.way >= 2) as mql,
        count(*) filter (where o.way >= 3) as sal,
        count(*) filter (where o.way >= 4) as sql,
        count(*) filter (where o.way >= 5) as opportunity,
        count(*) filter (where o.way >= 6) as won
    from {{ ref('leads') }} as l
    left join {{ ref('stage_order') }} as o on o.stage = l.furthest_stage
    group by l.channel
)

select
    *,
    mql / nullif(captured, 0) as captured_to_mql,
    sal / nullif(mql, 0) as mql_to_sal,
    sql / nullif(sal, 0) as sal_to_sql,
    opportunity / nullif(sql, 0) as sql_to_opportunity,
    won / nullif(opportunity, 0) as opportunity_to_won
from counted
