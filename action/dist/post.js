// src/post.js
import { existsSync, realpathSync, rmSync } from "node:fs";
import { basename, dirname } from "node:path";

// src/listener.js
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

// src/problem.js
var Problem = class extends Error {
  constructor(what, help) {
    super(what);
    this.help = help;
  }
};

// src/listener.js
var GENTLE = 1e4;
var PAUSE = 25;
var paths = (directory) => ({
  services: join(directory, "pg_service.conf"),
  events: join(directory, "events"),
  complaints: join(directory, "complaints")
});
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
var stat = (pid) => {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "").split(" ");
    return { state: fields[0], started: fields[19] };
  } catch {
    return void 0;
  }
};
var lives = (identity) => {
  const [pid, started] = identity.split(":");
  const found = stat(pid);
  return found !== void 0 && found.started === started && found.state !== "Z" && found.state !== "X";
};
var end = async (identity) => {
  if (!/^[1-9][0-9]*:[0-9]+$/.test(identity) || !lives(identity)) return "gone";
  const pid = Number(identity.split(":")[0]);
  for (const [signal, limit] of [["SIGTERM", GENTLE], ["SIGKILL", GENTLE]]) {
    try {
      process.kill(pid, signal);
    } catch {
    }
    for (const until = Date.now() + limit; Date.now() < until; await wait(PAUSE)) {
      if (!lives(identity)) return signal === "SIGTERM" ? "ended" : "killed";
    }
  }
  return "stuck";
};

// src/runner.js
import { appendFileSync } from "node:fs";
var append = (variable, text) => {
  const file = process.env[variable];
  if (!file) throw new Problem(`\`${variable}\` is not set`, "this runs as an action, in a step of a job");
  appendFileSync(file, text);
};
var state = (name) => process.env[`STATE_${name}`] ?? "";
var summarize = (markdown2) => append("GITHUB_STEP_SUMMARY", markdown2);
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

// src/summary.js
var MOST_WRITS = 50;
var MOST_REFUSALS = 20;
var KEY = /^[A-Za-z0-9_-]{43}$/;
var ENDS = {
  gone: "; the process that kept them open was gone before the job's end",
  killed: "; the process that kept them open had to be killed",
  stuck: "; the process that kept them open could not be ended"
};
var plain = (text) => {
  const shown = text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ").replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return shown.replace(/[\\`*_{}[\]()#+!|~@:$>]/g, (mark) => `&#${mark.codePointAt(0)};`);
};
var listed = (all, most) => {
  const more = all.length > most ? [`and ${all.length - most} more`] : [];
  return [...all.slice(0, most), ...more].join(", ");
};
var markdown = ({ gateway, reason, events, how }) => {
  const ready = events.find(({ event }) => event === "ready");
  if (!ready) return "";
  const rows = ready.targets.map(({ name }) => {
    const own = events.filter(({ target }) => target === name);
    const opened = own.filter(({ event }) => event === "opened");
    const refused = own.filter(({ event }) => event === "refused");
    const writs = opened.map(({ writ }) => writ).filter(Boolean);
    return `| ${plain(name)} | ${opened.length} | ${refused.length} | ${listed(writs.map(plain), MOST_WRITS)} |`;
  });
  const refusals = events.filter(({ event }) => event === "refused");
  const told = refusals.slice(0, MOST_REFUSALS).map(({ target, code, words }) => `- ${plain(target)}: ${plain(words)} (${plain(code)})`);
  const over = events.find(({ event }) => event === "ended");
  const close = over ? `, closed at ${plain(over.at)}: ${over.why === "a signal" ? "the job ended" : plain(over.why)}` : ENDS[how] ?? "";
  return [
    "### Writ",
    "",
    `Ways through ${plain(gateway)}, opened at ${plain(ready.at)}${close}.`,
    ...reason ? ["", `Reason: ${plain(reason)}`] : [],
    "",
    "| target | sessions | refused | writs |",
    "|---|---|---|---|",
    ...rows,
    ...told.length > 0 ? ["", "Refused:", "", ...told] : [],
    "",
    ...KEY.test(ready.key) ? [`\`writ sessions ls --key=${ready.key}\` lists the job's sessions.`] : [],
    "`writ writs show WRIT` shows which policy allowed a session; its statements are in its recording.",
    ""
  ].join("\n");
};

// src/post.js
await step(async () => {
  const directory = state("directory");
  const own = basename(directory).startsWith("writ-") && existsSync(directory);
  if (!own || dirname(directory) !== realpathSync(process.env.RUNNER_TEMP ?? "/")) return;
  const started = state("process");
  const how = started ? await end(started) : "never started";
  const { events } = paths(directory);
  const all = existsSync(events) ? heard(events) : [];
  if (how === "killed" || how === "stuck") warn("the process that kept the ways open did not end when it was asked to: its sessions end with their connections, and their recordings have it");
  const said = (what) => all.some(({ event }) => event === what);
  if (how === "gone" && said("ready") && !said("ended")) warn("the process that kept the ways open was gone before the job's end");
  summarize(markdown({ gateway: state("gateway"), reason: state("reason"), events: all, how }));
  rmSync(directory, { recursive: true, force: true });
  say("closed");
});
