// Opens the ways, and tells the steps that follow where they are.
import { chmodSync, copyFileSync, mkdtempSync, realpathSync, statSync, writeFileSync } from "node:fs";
import { isAbsolute, join, relative, resolve } from "node:path";
import { read } from "./inputs.js";
import { paths, start } from "./listener.js";
import { Problem } from "./problem.js";
import { obtain } from "./program.js";
import { exportVariable, saveState, say, setOutput, step, warn } from "./runner.js";

const permitted = () => {
  if (process.platform !== "linux") throw new Problem(`this runner is no Linux: ${process.platform}`, "run the job on Linux: `runs-on: ubuntu-latest`");
  if (process.env.ACTIONS_ID_TOKEN_REQUEST_URL && process.env.ACTIONS_ID_TOKEN_REQUEST_TOKEN) return;
  throw new Problem(
    "this job may not have ID tokens",
    "write `permissions: { id-token: write, contents: read }` at the job or the workflow; jobs for pull requests of forks get none",
  );
};

// A directory of this step's own, for its user alone, outside of the workspace.
const ownDirectory = () => {
  const temporary = process.env.RUNNER_TEMP;
  if (!temporary || !isAbsolute(temporary)) throw new Problem("`RUNNER_TEMP` is not set", "this runs as an action, in a step of a job");
  const real = realpathSync(temporary);
  const workspace = process.env.GITHUB_WORKSPACE;
  if (workspace && !relative(resolve(workspace), real).startsWith("..")) {
    throw new Problem("`RUNNER_TEMP` lies in the workspace, where what is written is built and uploaded", "give the runner a work folder of its own for temporary files");
  }
  const directory = mkdtempSync(join(real, "writ-"));
  chmodSync(directory, 0o700);
  return directory;
};

// The authority's certificate, as a file.
const authorityFile = (text, directory) => {
  if (!text) return "";
  const file = join(directory, "ca.pem");
  if (text.startsWith("-----BEGIN")) {
    writeFileSync(file, `${text}\n`, { mode: 0o600, flag: "wx" });
    return file;
  }
  const path = resolve(process.env.GITHUB_WORKSPACE ?? ".", text);
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) {
    throw new Problem(`\`ca-cert\` is \`${text}\`, and there is no such file`, "check the repository out before this step, or give the PEM text itself");
  }
  copyFileSync(path, file);
  chmodSync(file, 0o600);
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
  const ready = await start(program, inputs, authority, directory, (process) => saveState("process", process));

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
