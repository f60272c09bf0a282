select
    cast(date_trunc('week', business_date) as date) as week_start,
    chunk,
    currency,
    count(*) as lines,
    exact_sum(tax_amount) as tax_amount,
    exact_sum(net_amount) as net_amount
from sales
group by cast(date_trunc('week', business_date) as date), chunk, currency
