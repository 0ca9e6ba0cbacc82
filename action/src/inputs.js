// What the workflow asks for, read once and checked before anything is done.
import { Problem } from "./problem.js";

const TARGET = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const ROLE = /^[A-Za-z0-9_.-]{1,63}$/;
const GATEWAY = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?):([0-9]{1,5})$/;
const DURATION = /^(?=\d)(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?$/;
// What ends a line, steers a terminal, turns the writing around, or leaves no mark: as `writ` has it.
const UNSEEN =
  /[\p{Cc}\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/u;
const SHA256 = /^[0-9a-f]{64}$/;
const LONGEST_REASON = 256;

// The runner gives each input as a variable: upper case, spaces as underscores.
const input = (environment, name) => (environment[`INPUT_${name.replaceAll(" ", "_").toUpperCase()}`] ?? "").trim();

export const read = (environment) => {
  const value = (name) => input(environment, name);
  const inputs = {
    gateway: gateway(value("gateway")),
    targets: targets(value("targets")),
    audience: audience(value("audience") || "writ"),
    authority: value("ca-cert"),
    life: life(value("ttl")),
    reason: reason(value("reason")),
    broker: broker(value("broker")),
    program: value("cli-path"),
    url: url(value("cli-url")),
    digest: digest(value("cli-sha256")),
  };
  if (inputs.url && inputs.program) {
    throw new Problem("`cli-path` and `cli-url` both say where the program is", "leave one of them out");
  }
  if (inputs.url && !inputs.digest) {
    throw new Problem("`cli-url` is given without `cli-sha256`", "pin the program that may run: its SHA-256, as `sha256sum writ` prints it");
  }
  return inputs;
};

const gateway = (text) => {
  const port = Number(GATEWAY.exec(text)?.[1] ?? 0);
  if (port < 1 || port > 65535) {
    throw new Problem(text ? `\`gateway\` is \`${text}\`, which is no address` : "`gateway` is not given", "write `HOST:PORT`, as `gateway.example:5432`");
  }
  return text;
};

const targets = (text) => {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  if (lines.length === 0) throw new Problem("`targets` names none", "write a target on each line, as `payments` or `payments=15432`");
  const all = lines.map(target);
  for (const [at, { name, port }] of all.entries()) {
    const before = all.slice(0, at);
    if (before.some((other) => other.name === name)) throw new Problem(`\`targets\` names \`${name}\` twice`, "name each target once: it takes as many connections as come");
    if (port && before.some((other) => other.port === port)) throw new Problem(`\`targets\` wants port ${port} for two of them`, "give each its own, or 0 for any that is free");
  }
  return all;
};

const target = (line) => {
  const [name, port, ...more] = line.split("=").map((part) => part.trim());
  const [known, role, ...rest] = name.split("/");
  const named = TARGET.test(known) && (role === undefined || ROLE.test(role)) && rest.length === 0;
  if (!named) throw new Problem(`\`targets\` has \`${line}\`, which names no target`, "write `NAME`, `NAME/ROLE` or `NAME=PORT`, one on each line");
  if (more.length > 0 || (port !== undefined && !(/^[0-9]{1,5}$/.test(port) && Number(port) <= 65535))) {
    throw new Problem(`\`targets\` has \`${line}\`, which names no port`, "write `NAME=PORT`, with a port from 0 to 65535");
  }
  return { name, port: port === undefined ? undefined : Number(port) };
};

const audience = (text) => {
  if (/[\s\p{Cc}]/u.test(text) || text.length > 1024) throw new Problem("`audience` has white space in it or is too long", "give the `audience` of the broker's configuration");
  return text;
};

const life = (text) => {
  if (text !== "" && !(DURATION.test(text) && /[1-9]/.test(text))) throw new Problem(`\`ttl\` is \`${text}\`, which is no duration`, "write numbers with their units, largest first, as `45m` or `1h30m`");
  return text;
};

const reason = (text) => {
  if (Buffer.byteLength(text) > LONGEST_REASON) throw new Problem(`\`reason\` is longer than ${LONGEST_REASON} bytes`, "say it shorter");
  if (UNSEEN.test(text)) throw new Problem("`reason` holds a character that is not seen", "say it in one line of plain text");
  return text;
};

const broker = (text) => {
  const named = URL.canParse(text) ? new URL(text) : undefined;
  const plain = named?.protocol === "https:" && named.href === `${named.origin}/`;
  if (text !== "" && !plain) throw new Problem(`\`broker\` is \`${text}\`, which is no broker's address`, "write it as `https://broker.example:8443`");
  return named?.origin ?? "";
};

const url = (text) => {
  if (text !== "" && !(URL.canParse(text) && new URL(text).protocol === "https:")) throw new Problem(`\`cli-url\` is \`${text}\`, which is no https address`, "give an address that begins with `https://`");
  return text;
};

const digest = (text) => {
  const plain = text.toLowerCase().replace(/^sha256:/, "");
  if (plain !== "" && !SHA256.test(plain)) throw new Problem("`cli-sha256` is no SHA-256", "write the 64 digits that `sha256sum writ` prints");
  return plain;
};
