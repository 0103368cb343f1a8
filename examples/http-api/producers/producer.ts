// Submits calls over the HTTP API, with types that are generated from its OpenAPI document:
//
//     npx openapi-typescript http://127.0.0.1:8460/api/v1/openapi.json --output api.ts
//     npx tsc --target es2022 --module nodenext producer.ts
//     node producer.js http://127.0.0.1:8460

import type { components } from "./api.js";

type Schemas = components["schemas"];
type NewCall = Schemas["NewCall"];
type Submission = Schemas["Submission"];
type Outcome = Schemas["Outcome"];

/** An error of the API (RFC 9457). */
class ApiError extends Error {
  constructor(readonly problem: Schemas["Problem"]) {
    super(problem.detail);
  }
}

async function request<Reply>(url: string, body?: unknown): Promise<Reply> {
  const options = body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(url, options);
  if (!response.ok) throw new ApiError(await response.json());
  return response.json();
}

class Client {
  constructor(private readonly api: string) {}

  submit(call: NewCall): Promise<Submission> {
    return request(`${this.api}/invocations`, call);
  }

  outcome(id: string): Promise<Outcome> {
    return request(`${this.api}/invocations/${id}/outcome?wait=30s`);
  }
}

const client = new Client(`${process.argv[2]}/api/v1`);
const sum = await client.submit({ task: "add", arguments: { x: 1, y: 2 }, idempotency_key: "typescript-1", wait: "30s" });
console.log("1 + 2 =", sum.outcome?.value);

const quotient = await client.submit({ task: "divide", arguments: { x: 1, y: 0 } });
console.log("1 / 0:", (await client.outcome(quotient.id)).error?.message);

try {
  await client.submit({ task: "subtract", arguments: {} });
} catch (error) {
  if (!(error instanceof ApiError)) throw error;
  console.log(`${error.problem.kind}: ${error.message}`);
}
