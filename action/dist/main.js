// src/main.js
import { chmodSync as chmodSync2, copyFileSync as copyFileSync2, mkdtempSync, realpathSync, statSync as statSync2, writeFileSync } from "node:fs";
import { isAbsolute as isAbsolute2, join as join3, relative, resolve as resolve2 } from "node:path";

// src/problem.js
var Problem = class extends Error {
  constructor(what, help) {
    super(what);
    this.help = help;
  }
};

// src/inputs.js
var TARGET = /^[a-z0-9][a-z0-9._-]{0,62}$/;
var ROLE = /^[A-Za-z0-9_.-]{1,63}$/;
var GATEWAY = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?):([0-9]{1,5})$/;
var DURATION = /^(?=\d)(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?$/;
var UNSEEN = /[\p{Cc}\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/u;
var SHA256 = /^[0-9a-f]{64}$/;
var LONGEST_REASON = 256;
var input = (environment, name) => (environment[`INPUT_${name.replaceAll(" ", "_").toUpperCase()}`] ?? "").trim();
var read = (environment) => {
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
    digest: digest(value("cli-sha256"))
  };
  if (inputs.url && inputs.program) {
    throw new Problem("`cli-path` and `cli-url` both say where the program is", "leave one of them out");
  }
  if (inputs.url && !inputs.digest) {
    throw new Problem("`cli-url` is given without `cli-sha256`", "pin the program that may run: its SHA-256, as `sha256sum writ` prints it");
  }
  return inputs;
};
var gateway = (text) => {
  const port = Number(GATEWAY.exec(text)?.[1] ?? 0);
  if (port < 1 || port > 65535) {
    throw new Problem(text ? `\`gateway\` is \`${text}\`, which is no address` : "`gateway` is not given", "write `HOST:PORT`, as `gateway.example:5432`");
  }
  return text;
};
var targets = (text) => {
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
var target = (line) => {
  const [name, port, ...more] = line.split("=").map((part) => part.trim());
  const [known, role, ...rest] = name.split("/");
  const named = TARGET.test(known) && (role === void 0 || ROLE.test(role)) && rest.length === 0;
  if (!named) throw new Problem(`\`targets\` has \`${line}\`, which names no target`, "write `NAME`, `NAME/ROLE` or `NAME=PORT`, one on each line");
  if (more.length > 0 || port !== void 0 && !(/^[0-9]{1,5}$/.test(port) && Number(port) <= 65535)) {
    throw new Problem(`\`targets\` has \`${line}\`, which names no port`, "write `NAME=PORT`, with a port from 0 to 65535");
  }
  return { name, port: port === void 0 ? void 0 : Number(port) };
};
var audience = (text) => {
  if (/[\s\p{Cc}]/u.test(text) || text.length > 1024) throw new Problem("`audience` has white space in it or is too long", "give the `audience` of the broker's configuration");
  return text;
};
var life = (text) => {
  if (text !== "" && !(DURATION.test(text) && /[1-9]/.test(text))) throw new Problem(`\`ttl\` is \`${text}\`, which is no duration`, "write numbers with their units, largest first, as `45m` or `1h30m`");
  return text;
};
var reason = (text) => {
  if (Buffer.byteLength(text) > LONGEST_REASON) throw new Problem(`\`reason\` is longer than ${LONGEST_REASON} bytes`, "say it shorter");
  if (UNSEEN.test(text)) throw new Problem("`reason` holds a character that is not seen", "say it in one line of plain text");
  return text;
};
var broker = (text) => {
  const named = URL.canParse(text) ? new URL(text) : void 0;
  const plain = named?.protocol === "https:" && named.href === `${named.origin}/`;
  if (text !== "" && !plain) throw new Problem(`\`broker\` is \`${text}\`, which is no broker's address`, "write it as `https://broker.example:8443`");
  return named?.origin ?? "";
};
var url = (text) => {
  if (text !== "" && !(URL.canParse(text) && new URL(text).protocol === "https:")) throw new Problem(`\`cli-url\` is \`${text}\`, which is no https address`, "give an address that begins with `https://`");
  return text;
};
var digest = (text) => {
  const plain = text.toLowerCase().replace(/^sha256:/, "");
  if (plain !== "" && !SHA256.test(plain)) throw new Problem("`cli-sha256` is no SHA-256", "write the 64 digits that `sha256sum writ` prints");
  return plain;
};

// src/listener.js
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
var READY = 9e4;
var PAUSE = 25;
var SEEN = ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "GITHUB_ACTIONS", "RUNNER_TRACKING_ID", "SSL_CERT_FILE", "SSL_CERT_DIR"];
var paths = (directory) => ({
  services: join(directory, "pg_service.conf"),
  events: join(directory, "events"),
  complaints: join(directory, "complaints")
});
var start = async (program, inputs, authority, directory, begun) => {
  const { services, events, complaints } = paths(directory);
  const [out, err] = [events, complaints].map((file) => openSync(file, "wx", 384));
  const targets2 = inputs.targets.map(({ name, port }) => port === void 0 ? name : `${name}=${port}`);
  const settings = ["--gateway", inputs.gateway, "--audience", inputs.audience, "--service-file", services, "--from", "github-actions", "--json"];
  if (authority) settings.push("--ca-file", authority);
  if (inputs.life) settings.push("--for", inputs.life);
  if (inputs.reason) settings.push(`--reason=${inputs.reason}`);
  const own = Object.fromEntries(SEEN.filter((name) => process.env[name]).map((name) => [name, process.env[name]]));
  const child = spawn(program, ["listen", ...settings, "--", ...targets2], {
    cwd: directory,
    detached: true,
    stdio: ["ignore", out, err],
    env: { ...own, TMPDIR: directory }
  });
  child.unref();
  if (child.pid !== void 0) begun(identify(child.pid));
  [out, err].forEach((file) => closeSync(file));
  let ended;
  child.on("error", (error) => ended = `it cannot be run: ${error.message}`);
  child.on("exit", (code, signal) => ended ??= `it ended with ${signal ?? `status ${code}`}`);
  for (const until = Date.now() + READY; ; await wait(PAUSE)) {
    const all = heard(events);
    const ready = all.find(({ event }) => event === "ready");
    if (ready && (ended === void 0 || all.some(({ event }) => event === "ended"))) return ready;
    if (ended !== void 0 || Date.now() > until) {
      if (ended === void 0) child.kill("SIGKILL");
      throw complaint(readFileSync(complaints, "utf8"), ended ?? `it does not listen within ${READY / 1e3} seconds`);
    }
  }
};
var complaint = (text, how) => {
  const said = /^error: (?<what>[^]*?)(?:\n help: (?<help>[^]*))?$/m.exec(text.trim());
  return new Problem(`no way was opened: ${said?.groups.what ?? (text.trim() || how)}`, said?.groups.help);
};
var heard = (file) => {
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  return lines.flatMap((line) => {
    try {
      return [JSON.parse(line)];
    } catch {
      return [];
    }
  });
};
var identify = (pid) => `${pid}:${stat(pid)?.started ?? ""}`;
var stat = (pid) => {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "").split(" ");
    return { state: fields[0], started: fields[19] };
  } catch {
    return void 0;
  }
};

// src/program.js
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, accessSync, constants, copyFileSync, chmodSync, statSync } from "node:fs";
import { delimiter, isAbsolute, join as join2, resolve } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
var LARGEST = 1 << 30;
var FETCH = 3e5;
var obtain = async ({ program, url: url2, digest: digest2 }, directory) => {
  if (!digest2) return find(program);
  const copy = join2(directory, "writ");
  if (url2) await fetched(url2, copy);
  else copyFileSync(find(program), copy);
  const has = await sha256(copy);
  if (has !== digest2) {
    throw new Problem(`the \`writ\` program has the SHA-256 ${has}, and not the one that \`cli-sha256\` pins`, "look where it comes from; where it is the right one, pin this digest");
  }
  chmodSync(copy, 448);
  return copy;
};
var find = (program) => {
  if (program.includes("/")) {
    const path2 = isAbsolute(program) ? program : resolve(process.env.GITHUB_WORKSPACE ?? ".", program);
    if (runs(path2)) return path2;
    throw new Problem(`\`cli-path\` is \`${program}\`, and there is no program`, "install `writ` before this step, or name the program that is there");
  }
  const name = program || "writ";
  const path = (process.env.PATH ?? "").split(delimiter).filter(isAbsolute).map((folder) => join2(folder, name)).find(runs);
  if (path) return path;
  throw new Problem(`there is no \`${name}\` in \`PATH\``, "install `writ` before this step, or give `cli-path`, or `cli-url` with `cli-sha256`");
};
var runs = (path) => {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
};
var fetched = async (url2, to) => {
  const failed = (why) => new Problem(`\`cli-url\` cannot be fetched: ${why}`, "is the address right, and may this runner reach it?");
  try {
    const answer = await fetch(url2, { signal: AbortSignal.timeout(FETCH) });
    if (!answer.ok || !answer.body) throw failed(`status ${answer.status}`);
    let length = 0;
    const bound = new Transform({
      transform: (part, _, done) => (length += part.length) > LARGEST ? done(failed("it is too large")) : done(null, part)
    });
    await pipeline(Readable.fromWeb(answer.body), bound, createWriteStream(to, { mode: 384 }));
  } catch (error) {
    throw error instanceof Problem ? error : failed(error?.cause?.message ?? error?.message);
  }
};
var sha256 = async (path) => {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
};

// src/runner.js
import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
var put = (variable, name, value) => {
  const end = `end-${randomUUID()}`;
  append(variable, `${name}<<${end}
${value}
${end}
`);
};
var append = (variable, text) => {
  const file = process.env[variable];
  if (!file) throw new Problem(`\`${variable}\` is not set`, "this runs as an action, in a step of a job");
  appendFileSync(file, text);
};
var setOutput = (name, value) => put("GITHUB_OUTPUT", name, value);
var exportVariable = (name, value) => put("GITHUB_ENV", name, value);
var saveState = (name, value) => put("GITHUB_STATE", name, value);
var escaped = (text) => text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
var command = (name, text) => process.stdout.write(`::${name} title=Writ::${escaped(text)}
`);
var say = (text) => process.stdout.write(`${text.replaceAll("::", ": :")}
`);
var warn = (text) => command("warning", text);
var step = async (work) => {
  try {
    await work();
  } catch (error) {
    const help = error instanceof Problem && error.help ? `
help: ${error.help}` : "";
    command("error", error instanceof Problem ? `${error.message}${help}` : String(error?.stack ?? error));
    process.exitCode = 1;
  }
};

// src/main.js
var permitted = () => {
  if (process.platform !== "linux") throw new Problem(`this runner is no Linux: ${process.platform}`, "run the job on Linux: `runs-on: ubuntu-latest`");
  if (process.env.ACTIONS_ID_TOKEN_REQUEST_URL && process.env.ACTIONS_ID_TOKEN_REQUEST_TOKEN) return;
  throw new Problem(
    "this job may not have ID tokens",
    "write `permissions: { id-token: write, contents: read }` at the job or the workflow; jobs for pull requests of forks get none"
  );
};
var ownDirectory = () => {
  const temporary = process.env.RUNNER_TEMP;
  if (!temporary || !isAbsolute2(temporary)) throw new Problem("`RUNNER_TEMP` is not set", "this runs as an action, in a step of a job");
  const real = realpathSync(temporary);
  const workspace = process.env.GITHUB_WORKSPACE;
  if (workspace && !relative(resolve2(workspace), real).startsWith("..")) {
    throw new Problem("`RUNNER_TEMP` lies in the workspace, where what is written is built and uploaded", "give the runner a work folder of its own for temporary files");
  }
  const directory = mkdtempSync(join3(real, "writ-"));
  chmodSync2(directory, 448);
  return directory;
};
var authorityFile = (text, directory) => {
  if (!text) return "";
  const file = join3(directory, "ca.pem");
  if (text.startsWith("-----BEGIN")) {
    writeFileSync(file, `${text}
`, { mode: 384, flag: "wx" });
    return file;
  }
  const path = resolve2(process.env.GITHUB_WORKSPACE ?? ".", text);
  if (!statSync2(path, { throwIfNoEntry: false })?.isFile()) {
    throw new Problem(`\`ca-cert\` is \`${text}\`, and there is no such file`, "check the repository out before this step, or give the PEM text itself");
  }
  copyFileSync2(path, file);
  chmodSync2(file, 384);
  return file;
};
await step(async () => {
  const inputs = read(process.env);
  permitted();
  const directory = ownDirectory();
  saveState("directory", directory);
  saveState("gateway", inputs.gateway);
  saveState("reason", inputs.reason);
  const authority = authorityFile(inputs.authority, directory);
  const program = await obtain(inputs, directory);
  const ready = await start(program, inputs, authority, directory, (process2) => saveState("process", process2));
  if (process.env.PGSERVICEFILE) warn("`PGSERVICEFILE` was set before; the steps that follow read this one's. Name all targets in one step.");
  exportVariable("PGSERVICEFILE", paths(directory).services);
  const address = ({ name, host, port, database }) => [name, { host, port, user: name, database }];
  setOutput("addresses", JSON.stringify(Object.fromEntries(ready.targets.map(address))));
  setOutput("expires-at", ready.until ?? "");
  setOutput("session-id", ready.key);
  setOutput("session-url", inputs.broker ? `${inputs.broker}/v1/sessions?key=${ready.key}` : "");
  for (const { name, host, port } of ready.targets) say(`${name}: host=${host} port=${port}, or service=${name}`);
  say(`the job's sessions: writ sessions ls --key=${ready.key}`);
  say(ready.until ? `open until ${ready.until}` : "open until the job ends");
});
