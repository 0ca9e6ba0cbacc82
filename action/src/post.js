// Ends the process that kept the ways open, which closes its sessions; says in the summary what was reached; leaves no file.
import { existsSync, realpathSync, rmSync } from "node:fs";
import { basename, dirname } from "node:path";
import { end, heard, paths } from "./listener.js";
import { state, step, summarize, say, warn } from "./runner.js";
import { markdown } from "./summary.js";

await step(async () => {
  const directory = state("directory");
  // It is nobody's to remove but what the first step made.
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
