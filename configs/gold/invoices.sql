-- One statement per business date, customer and currency; sales without a customer have none.
select
    -- From the key alone, so that a statement that is built again keeps its id.
    sha2(concat_ws('|', business_date, customer_id, currency), 256) as invoice_id,
    business_date,
    customer_id,
    currency,
    count(*) as lines,
    exact_sum(quantity) as units,
    exact_sum(gross_amount) as gross_amount,
    exact_sum(discount_amount) as discount_amount,
    -- The net amount of each line is exactly gross minus discount, so the same is true for the sums.
    cast(exact_sum(gross_amount) - exact_sum(discount_amount) as decimal(38, 3)) as net_amount,
    exact_sum(net_amount, line_type = 'RETURN') as returns_amount
from sales
where customer_id is not null
group by business_date, customer_id, currency
