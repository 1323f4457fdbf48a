-- What each model cost in the last 30 days, the dearest first.
SELECT
    provider,
    coalesce(answered_model, model) AS model,
    count(*) AS calls,
    sum(prompt_tokens) AS prompt_tokens,
    sum(cached_tokens) AS cached_tokens,
    sum(completion_tokens) AS completion_tokens,
    sum(cost) AS cost_usd
FROM calls
WHERE "date" >= CAST(CAST(current_date - INTERVAL '30' DAY AS DATE) AS VARCHAR)
GROUP BY provider, coalesce(answered_model, model)
ORDER BY cost_usd DESC NULLS LAST, calls DESC
LIMIT 100
