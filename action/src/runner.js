// How an action speaks to its runner: files for what later steps are to have, commands on standard output for what is to be seen.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import { Problem } from "./problem.js";

// A value ends where a line says so that nobody could know beforehand: nothing in it can look like another value.
const put = (variable, name, value) => {
  const end = `end-${randomUUID()}`;
  append(variable, `${name}<<${end}\n${value}\n${end}\n`);
};

const append = (variable, text) => {
  const file = process.env[variable];
  if (!file) throw new Problem(`\`${variable}\` is not set`, "this runs as an action, in a step of a job");
  appendFileSync(file, text);
};

export const setOutput = (name, value) => put("GITHUB_OUTPUT", name, value);
export const exportVariable = (name, value) => put("GITHUB_ENV", name, value);
export const saveState = (name, value) => put("GITHUB_STATE", name, value);
export const state = (name) => process.env[`STATE_${name}`] ?? "";
export const summarize = (markdown) => append("GITHUB_STEP_SUMMARY", markdown);

const escaped = (text) => text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
const command = (name, text) => process.stdout.write(`::${name} title=Writ::${escaped(text)}\n`);

// A line that begins as a command does would be taken for one.
export const say = (text) => process.stdout.write(`${text.replaceAll("::", ": :")}\n`);
export const warn = (text) => command("warning", text);

// Runs the step, and says what went wrong as the runner shows it.
export const step = async (work) => {
  try {
    await work();
  } catch (error) {
    const help = error instanceof Problem && error.help ? `\nhelp: ${error.help}` : "";
    command("error", error instanceof Problem ? `${error.message}${help}` : String(error?.stack ?? error));
    process.exitCode = 1;
  }
};
