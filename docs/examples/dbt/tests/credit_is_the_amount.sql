-- The parts that a model credits sum to the conversion, and to its amount to the last minor unit.
select k.lead_id, k.conversion, r.model, k.amount, sum(r.amount) as credited, sum(r.credit) as parts
from {{ ref('stg_conversions') }} as k
left join {{ ref('stg_credit') }} as r on r.lead_id = k.lead_id and r.conversion = k.conversion
group by all
having sum(r.credit) is distinct from 1
    or sum(r.amount) is distinct from k.amount
