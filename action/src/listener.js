// The process that keeps the ways open between this step and the end of the job: `writ listen`.
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { Problem } from "./problem.js";

const READY = 90_000;
const GENTLE = 10_000;
const PAUSE = 25;

// All that it sees of the job. What it asks for tokens with is among it, as every step has it; the rest of the job's secrets is not.
const SEEN = ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "GITHUB_ACTIONS", "RUNNER_TRACKING_ID", "SSL_CERT_FILE", "SSL_CERT_DIR"];

export const paths = (directory) => ({
  services: join(directory, "pg_service.conf"),
  events: join(directory, "events"),
  complaints: join(directory, "complaints"),
});

// Starts it, and waits until every target can be reached. Gives what it said then. `begun` hears of its process at once: a step that
// fails or is cancelled while it waits leaves it to be ended.
export const start = async (program, inputs, authority, directory, begun) => {
  const { services, events, complaints } = paths(directory);
  const [out, err] = [events, complaints].map((file) => openSync(file, "wx", 0o600));
  const targets = inputs.targets.map(({ name, port }) => (port === undefined ? name : `${name}=${port}`));
  const settings = ["--gateway", inputs.gateway, "--audience", inputs.audience, "--service-file", services, "--from", "github-actions", "--json"];
  if (authority) settings.push("--ca-file", authority);
  if (inputs.life) settings.push("--for", inputs.life);
  if (inputs.reason) settings.push(`--reason=${inputs.reason}`);
  const own = Object.fromEntries(SEEN.filter((name) => process.env[name]).map((name) => [name, process.env[name]]));
  const child = spawn(program, ["listen", ...settings, "--", ...targets], {
    cwd: directory,
    detached: true,
    stdio: ["ignore", out, err],
    env: { ...own, TMPDIR: directory },
  });
  // This step waits no longer than it wants to.
  child.unref();
  // One that cannot be run has no number.
  if (child.pid !== undefined) begun(identify(child.pid));
  [out, err].forEach((file) => closeSync(file));
  let ended;
  child.on("error", (error) => (ended = `it cannot be run: ${error.message}`));
  child.on("exit", (code, signal) => (ended ??= `it ended with ${signal ?? `status ${code}`}`));
  for (const until = Date.now() + READY; ; await wait(PAUSE)) {
    const all = heard(events);
    const ready = all.find(({ event }) => event === "ready");
    // One whose time was over meanwhile has done what it was asked to.
    if (ready && (ended === undefined || all.some(({ event }) => event === "ended"))) return ready;
    if (ended !== undefined || Date.now() > until) {
      if (ended === undefined) child.kill("SIGKILL");
      throw complaint(readFileSync(complaints, "utf8"), ended ?? `it does not listen within ${READY / 1000} seconds`);
    }
  }
};

// What it complained of, with the help that it gave.
const complaint = (text, how) => {
  const said = /^error: (?<what>[^]*?)(?:\n help: (?<help>[^]*))?$/m.exec(text.trim());
  return new Problem(`no way was opened: ${said?.groups.what ?? (text.trim() || how)}`, said?.groups.help);
};

// The lines that it has printed whole.
export const heard = (file) => {
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  return lines.flatMap((line) => {
    try {
      return [JSON.parse(line)];
    } catch {
      return [];
    }
  });
};

// A process by its number and the moment of its start: numbers are given again.
const identify = (pid) => `${pid}:${stat(pid)?.started ?? ""}`;

const stat = (pid) => {
  try {
    // Behind the name, which may hold anything: state first, the moment of the start twentieth.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "").split(" ");
    return { state: fields[0], started: fields[19] };
  } catch {
    return undefined;
  }
};

const lives = (identity) => {
  const [pid, started] = identity.split(":");
  const found = stat(pid);
  return found !== undefined && found.started === started && found.state !== "Z" && found.state !== "X";
};

// Ends it: gently, so that its sessions close and its files go, and where that does not help by force. Gives how it came about.
export const end = async (identity) => {
  if (!/^[1-9][0-9]*:[0-9]+$/.test(identity) || !lives(identity)) return "gone";
  const pid = Number(identity.split(":")[0]);
  for (const [signal, limit] of [["SIGTERM", GENTLE], ["SIGKILL", GENTLE]]) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended at this moment.
    }
    for (const until = Date.now() + limit; Date.now() < until; await wait(PAUSE)) {
      if (!lives(identity)) return signal === "SIGTERM" ? "ended" : "killed";
    }
  }
  return "stuck";
};
