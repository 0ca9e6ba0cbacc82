// How the test speaks to an issuer: one line of JSON in, one line of JSON out. Ends when its standard input does.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(process.env.WRIT_NODE_MODULES ?? import.meta.url);
export const load = (name) => import(require.resolve(name));
export const tls = { cert: readFileSync(process.env.WRIT_CERT), key: readFileSync(process.env.WRIT_KEY) };
export const audience = process.env.WRIT_AUDIENCE;

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

// Says where the issuer is, then answers: `{"do": NAME, ...}` goes to the action of that name.
export const serve = async (issuer, actions) => {
  say({ issuer });
  for await (const line of createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    try {
      say((await actions[asked.do](asked)) ?? {});
    } catch (error) {
      say({ error: String(error?.stack ?? error) });
    }
  }
  process.exit(0);
};
