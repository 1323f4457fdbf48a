-- The intents whose callers waited longest in the last 7 days: the time within which 50, 95 and 99 of 100 calls were done.
SELECT
    application,
    intent,
    count(*) AS calls,
    approx_percentile(latency_ms, 0.50) AS latency_p50_ms,
    approx_percentile(latency_ms, 0.95) AS latency_p95_ms,
    approx_percentile(latency_ms, 0.99) AS latency_p99_ms,
    approx_percentile(first_token_ms, 0.95) AS first_token_p95_ms
FROM calls
WHERE
    "date" >= CAST(CAST(current_date - INTERVAL '7' DAY AS DATE) AS VARCHAR)
    AND latency_ms IS NOT NULL
    AND NOT failed
GROUP BY application, intent
ORDER BY latency_p95_ms DESC, application, intent
LIMIT 100
