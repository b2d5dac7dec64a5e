{% test unique_together(model, columns) %}
-- Fails for every set of values of the columns that stands in more than one row.
select {{ columns | join(', ') }}, count(*) as found
from {{ model }}
group by all
having count(*) > 1
{% endtest %}
