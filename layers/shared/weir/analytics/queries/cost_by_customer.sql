-- What each customer cost in the last 30 days, the dearest first.
SELECT
    customer_identifier,
    count(*) AS calls,
    sum(prompt_tokens) AS prompt_tokens,
    sum(completion_tokens) AS completion_tokens,
    sum(cost) AS cost_usd,
    count(*) - count(cost) AS calls_without_a_price
FROM calls
WHERE "date" >= CAST(CAST(current_date - INTERVAL '30' DAY AS DATE) AS VARCHAR)
GROUP BY customer_identifier
ORDER BY cost_usd DESC NULLS LAST, calls DESC
LIMIT 100
