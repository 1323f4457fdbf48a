// What the checks of a client for Node are written with: the same lines of JSON as checking.py prints.

import assert from "node:assert/strict";

const { WEIR_URL: URL_OF_WEIR, WEIR_KEY: KEY } = process.env;
export const URL = URL_OF_WEIR;
export { KEY };
const LOOK_MS = 50;
const LOOKS = 1200;
const SETTLED_MS = 100;

const checks = [];
const seen = new Set();

export function check(name, run) {
  checks.push({ name, run });
}

export async function run(versions) {
  say({ checks: checks.length, versions });
  for (const { name, run } of checks) {
    for (const row of await rows()) seen.add(row.id);
    let problem = null;
    try {
      await run();
    } catch (error) {
      problem = (error.stack ?? String(error)).slice(0, 3000);
    }
    say({ name, problem });
  }
  process.exit(0); // a client's connections would keep the process alive
}

/** The rows of all request logs, the newest first. */
export async function rows() {
  return (await ask("/api/request-logs/list?page_size=1000")).results;
}

/** Everything that is kept of what this check has left in the ledger, the oldest first: it must be `count` records. */
export async function made(count) {
  for (let look = 0; look < LOOKS && (await fresh()).length < count; look++) await pause(LOOK_MS);
  await pause(SETTLED_MS); // one too many would come by now
  const found = await fresh();
  assert.equal(found.length, count, `${found.length} records, not ${count}`);
  return Promise.all(found.reverse().map((row) => ask(`/api/request-logs/${row.id}`)));
}

/** The one record that this check has left in the ledger. */
export async function only() {
  return (await made(1))[0];
}

/** The fields that are named have these values, whatever else is there. */
export function holds(found, expected) {
  assert.deepEqual(Object.fromEntries(Object.keys(expected).map((name) => [name, found[name]])), expected);
}

/** The very error that the client raises; a subclass is another one. */
export async function refused(expected, call) {
  try {
    await call();
  } catch (error) {
    assert.equal(error.constructor.name, expected.name, String(error));
    return error;
  }
  assert.fail("it was not refused");
}

export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function fresh() {
  return (await rows()).filter((row) => !seen.has(row.id));
}

async function ask(path) {
  const answer = await fetch(URL + path, { headers: { authorization: `Bearer ${KEY}` } });
  assert.equal(answer.status, 200, path);
  return answer.json();
}

function say(line) {
  process.stdout.write(JSON.stringify(line) + "\n");
}
