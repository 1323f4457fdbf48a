// openai for Node, as it comes from npm, with Weir's URL for its baseURL. Run by run.py in its own environment.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

import { KEY, URL, check, holds, made, only, refused, run } from "./checking.mjs";

const HELLO = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "Grüezi, 世界 👋" },
];
const WEATHER = {
  type: "function",
  function: {
    name: "weather",
    description: "The weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const CITIES = [{ city: "Bern" }, { city: "Genève" }];
const sent = [];

/** `maxRetries` 0 unless a check is about retries. */
function client(options = {}) {
  const remembering = (url, init) => {
    if (init?.method?.toUpperCase() === "POST") sent.push(JSON.parse(init.body));
    return fetch(url, init);
  };
  return new OpenAI({ apiKey: KEY, baseURL: `${URL}/v1`, maxRetries: 0, fetch: remembering, ...options });
}

function create(model, options = {}) {
  return client().chat.completions.create({ model, messages: HELLO, ...options });
}

/** The check's one record, which holds the request as the client sent it. */
async function kept(expected = {}) {
  const log = await only();
  assert.deepEqual(log.full_request, sent.at(-1));
  holds(log, expected);
  return log;
}

async function textOf(stream) {
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  return text;
}

check("whole answer is the one that is kept", async () => {
  const { data, response } = await create("gpt-either").withResponse();
  assert.equal(data.choices[0].message.content, "whole answer");
  const log = await kept({
    status: "success", model: "gpt-either", answered_model: "upstream-1", prompt_messages: HELLO, prompt_tokens: 9,
    completion_tokens: 3, total_request_tokens: 12, stream: false, finish_reason: "stop", outcome: "complete",
  }); // prettier-ignore
  assert.deepEqual(log.full_response, JSON.parse(JSON.stringify(data)));
  assert.equal(response.headers.get("x-weir-request-id"), log.id);
});

check("environment alone points the client here", async () => {
  Object.assign(process.env, { OPENAI_BASE_URL: `${URL}/v1`, OPENAI_API_KEY: KEY });
  const answer = await new OpenAI().chat.completions.create({ model: "gpt-either", messages: HELLO });
  assert.equal(answer.choices[0].message.content, "whole answer");
  holds(await only(), { prompt_messages: HELLO, status: "success" });
});

check("every parameter reaches the provider", async () => {
  const parameters = {
    temperature: 0.25, top_p: 0.5, seed: 7, stop: ["x", "y"], n: 1, user: "u-1", logit_bias: { 50256: -100 },
    presence_penalty: 0.5, frequency_penalty: -0.5, max_completion_tokens: 99, logprobs: true, top_logprobs: 2,
    parallel_tool_calls: false, tools: [WEATHER], tool_choice: "none", store: false, reasoning_effort: "low",
    service_tier: "default", response_format: { type: "json_object" }, verbosity: "low",
  }; // prettier-ignore
  const answer = await create("gpt-asked", parameters);
  const asked = JSON.parse(answer.choices[0].message.content);
  assert.deepEqual(asked, { model: "gpt-asked", messages: HELLO, ...parameters });
  await kept({ temperature: 0.25, tools: [WEATHER] });
});

check("fields of Weir's own", async () => {
  const fields = {
    session_id: 42, customer_identifier: "customer-1", metadata: { plan: "pro" }, application: "shop", intent: "CHAT",
    reference_id: "ref-1", user_id: "user-1", request_id: "req-openai-node",
  }; // prettier-ignore
  await create("gpt-either", fields);
  await kept({ ...fields, session_id: "42" });
});

check("stream with usage", async () => {
  const chunks = [];
  const options = { stream: true, stream_options: { include_usage: true } };
  for await (const chunk of await create("gpt-either", options)) chunks.push(chunk);
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), "streamed answer");
  assert.deepEqual([chunks.at(-1).choices, chunks.at(-1).usage.total_tokens], [[], 11]);
  await kept({
    stream: true, total_request_tokens: 11, finish_reason: "stop", status: "success",
    completion_message: { role: "assistant", content: "streamed answer" },
  }); // prettier-ignore
});

check("streaming helper", async () => {
  const stream = client().chat.completions.stream({ model: "gpt-either", messages: HELLO });
  const deltas = [];
  stream.on("content", (delta) => deltas.push(delta));
  assert.equal(await stream.finalContent(), "streamed answer");
  assert.deepEqual(deltas.filter(Boolean), ["streamed ", "answer"]);
  assert.equal((await stream.finalChatCompletion()).choices[0].finish_reason, "stop");
  await kept({ stream: true });
});

check("streaming helper with tools and a parsed type", async () => {
  const tools = [zodFunction({ name: "weather", parameters: z.object({ city: z.string() }) })];
  const calls = client().chat.completions.stream({ model: "gpt-tools", messages: HELLO, tools });
  const message = (await calls.finalChatCompletion()).choices[0].message;
  assert.deepEqual(message.tool_calls.map((call) => call.function.parsed_arguments), CITIES);
  const response_format = zodResponseFormat(z.object({ city: z.string(), degrees: z.number() }), "city");
  const typed = client().chat.completions.stream({ model: "gpt-object", messages: HELLO, response_format });
  assert.deepEqual((await typed.finalChatCompletion()).choices[0].message.parsed, { city: "Bern", degrees: 7 });
  assert.deepEqual((await made(2)).map((log) => log.finish_reason), ["tool_calls", "stop"]);
});

check("tools are run by the client's own loop", async () => {
  const asked = [];
  const run = (call) => (asked.push(call), `7 in ${call.city}`);
  const tool = { ...WEATHER, function: { ...WEATHER.function, function: run, parse: JSON.parse } };
  const runner = client().chat.completions.runTools({ model: "gpt-tools", messages: HELLO, tools: [tool] });
  assert.equal(await runner.finalContent(), "7 degrees in Bern");
  assert.deepEqual(asked, CITIES);
  const [called, answered] = await made(2);
  assert.deepEqual(called.tool_calls.map((call) => call.id), ["call_0", "call_1"]);
  assert.deepEqual(answered.prompt_messages, sent.at(-1).messages);
});

check("parse into a type", async () => {
  const response_format = zodResponseFormat(z.object({ city: z.string(), degrees: z.number() }), "city");
  const answer = await client().chat.completions.parse({ model: "gpt-object", messages: HELLO, response_format });
  assert.deepEqual(answer.choices[0].message.parsed, { city: "Bern", degrees: 7 });
  assert.equal((await kept()).response_format.json_schema.name, "city");
});

check("side by side", async () => {
  const answers = await Promise.all(Array.from({ length: 8 }, () => create("gpt-either")));
  assert.deepEqual(new Set(answers.map((answer) => answer.choices[0].message.content)), new Set(["whole answer"]));
  await made(8);
});

check("embeddings as floats and packed", async () => {
  const { embeddings } = client();
  const model = "text-embedding-3-small";
  const byDefault = await embeddings.create({ model, input: ["one", "two"] });
  assert.deepEqual(byDefault.data.map((found) => found.embedding), [[0.5, -0.25, 1], [0.5, -0.25, 1]]);
  const floats = await embeddings.create({ model, input: "one", encoding_format: "float", dimensions: 2 });
  assert.deepEqual(floats.data[0].embedding, [0.5, -0.25]);
  const logs = await made(2);
  assert.deepEqual(logs.map((log) => [log.log_type, log.prompt_tokens]), [["embedding", 4], ["embedding", 4]]);
  assert.deepEqual(logs.map((log) => log.full_request), sent.slice(-2));
});

check("models are listed and nothing is recorded", async () => {
  const names = [];
  for await (const model of client().models.list()) names.push(model.id);
  assert.ok(names.includes("openai/gpt-either"), names.join());
  await made(0);
});

check("providers' refusals are the client's own errors", async () => {
  const expected = [
    [400, OpenAI.BadRequestError, 400],
    [401, OpenAI.AuthenticationError, 401],
    [403, OpenAI.PermissionDeniedError, 403],
    [404, OpenAI.NotFoundError, 404],
    [409, OpenAI.ConflictError, 409],
    [422, OpenAI.UnprocessableEntityError, 422],
    [429, OpenAI.RateLimitError, 429],
    [500, OpenAI.InternalServerError, 502],
    [503, OpenAI.InternalServerError, 503],
  ];
  for (const [status, error, answered] of expected) {
    const refusal = await refused(error, () => create(`gpt-status-${status}`));
    assert.equal(refusal.status, answered);
    assert.ok(refusal.message.includes(`Refused with ${status}.`), refusal.message);
  }
  const logs = await made(expected.length);
  assert.deepEqual(logs.map((log) => log.status_code), expected.map(([, , answered]) => answered));
});

check("Weir's own refusals", async () => {
  const wrong = client({ apiKey: "canary-no-key-of-weirs" });
  const unknown = () => wrong.chat.completions.create({ model: "gpt-either", messages: HELLO });
  assert.ok(!(await refused(OpenAI.AuthenticationError, unknown)).message.includes("canary"));
  await refused(OpenAI.NotFoundError, () => create("no-such-model"));
  await refused(OpenAI.BadRequestError, () => create("gpt-either", { temperature: "hot" }));
  await refused(OpenAI.NotFoundError, () => client().responses.create({ model: "gpt-either", input: "hi" }));
});

check("retry is a second record", async () => {
  const answer = await client({ maxRetries: 2 }).chat.completions.create({ model: "gpt-fails-once", messages: HELLO });
  assert.equal(answer.choices[0].message.content, "whole answer");
  assert.deepEqual((await made(2)).map((log) => log.status), ["failed", "success"]);
});

check("failure within a stream is raised", async () => {
  const broken = await refused(OpenAI.APIError, async () => textOf(await create("gpt-broken", { stream: true })));
  assert.ok(broken.message.includes("It broke."), broken.message);
  await refused(OpenAI.APIError, async () => textOf(await create("gpt-cut", { stream: true })));
  const logs = await made(2);
  assert.deepEqual(logs.map((log) => [log.outcome, log.completion_message.content]), [["error", "begun"], ["cut_off", "begun"]]);
});

check("stream that is aborted is cut off and kept", async () => {
  const stream = await create("gpt-endless", { stream: true });
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta.content) stream.controller.abort();
  }
  const log = await kept({ outcome: "caller_gone", status: "failed", stream: true });
  assert.equal(log.completion_message.content, "begun");
});

check("streaming helper that is aborted says so", async () => {
  const stream = client().chat.completions.stream({ model: "gpt-endless", messages: HELLO });
  stream.on("content", (delta) => delta && stream.abort());
  await refused(OpenAI.APIUserAbortError, () => stream.done());
  await kept({ outcome: "caller_gone", stream: true });
});

check("call that is aborted is kept with its answer", async () => {
  const signal = AbortSignal.timeout(300);
  const call = () => client().chat.completions.create({ model: "gpt-late", messages: HELLO }, { signal });
  await refused(OpenAI.APIUserAbortError, call);
  await kept({ completion_message: { role: "assistant", content: "late answer" }, stream: false });
});

const ofPackage = JSON.parse(readFileSync(new globalThis.URL("./node_modules/openai/package.json", import.meta.url)));
await run({ openai: ofPackage.version });
