-- How much of a budget of 1 failed call in 100 each application has used in the last 30 days; over 1.0 it is overdrawn.
SELECT
    application,
    count(*) AS calls,
    sum(CASE WHEN failed THEN 1 ELSE 0 END) AS failed_calls,
    CAST(sum(CASE WHEN failed THEN 1 ELSE 0 END) AS DOUBLE) / count(*) AS failed_share,
    CAST(sum(CASE WHEN failed THEN 1 ELSE 0 END) AS DOUBLE) / count(*) / 0.01 AS budget_used
FROM calls
WHERE "date" >= CAST(CAST(current_date - INTERVAL '30' DAY AS DATE) AS VARCHAR)
GROUP BY application
ORDER BY budget_used DESC, calls DESC, application
LIMIT 100
