-- Totals by business date, store, category and currency. Amounts of different currencies are never added.
select
    business_date,
    store_id,
    category,
    currency,
    count(*) as lines,
    exact_sum(quantity) as units,
    exact_sum(gross_amount) as gross_amount,
    exact_sum(discount_amount) as discount_amount,
    -- The net amount of each line is exactly gross minus discount, so the same is true for the sums.
    cast(exact_sum(gross_amount) - exact_sum(discount_amount) as decimal(38, 3)) as net_amount,
    exact_sum(net_amount, line_type = 'RETURN') as returns_amount
from sales
group by business_date, store_id, category, currency
