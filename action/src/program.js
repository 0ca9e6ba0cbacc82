// The `writ` program: found, fetched, and held to its digest.
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, accessSync, constants, copyFileSync, chmodSync, statSync } from "node:fs";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Problem } from "./problem.js";

const LARGEST = 1 << 30;
const FETCH = 300_000;

// Gives the path of the program that may run. One that is held to a digest runs as a copy in `directory`, which nobody else can
// change between the look and the start.
export const obtain = async ({ program, url, digest }, directory) => {
  if (!digest) return find(program);
  const copy = join(directory, "writ");
  if (url) await fetched(url, copy);
  else copyFileSync(find(program), copy);
  const has = await sha256(copy);
  if (has !== digest) {
    throw new Problem(`the \`writ\` program has the SHA-256 ${has}, and not the one that \`cli-sha256\` pins`, "look where it comes from; where it is the right one, pin this digest");
  }
  chmodSync(copy, 0o700);
  return copy;
};

const find = (program) => {
  if (program.includes("/")) {
    const path = isAbsolute(program) ? program : resolve(process.env.GITHUB_WORKSPACE ?? ".", program);
    if (runs(path)) return path;
    throw new Problem(`\`cli-path\` is \`${program}\`, and there is no program`, "install `writ` before this step, or name the program that is there");
  }
  const name = program || "writ";
  const path = (process.env.PATH ?? "").split(delimiter).filter(isAbsolute).map((folder) => join(folder, name)).find(runs);
  if (path) return path;
  throw new Problem(`there is no \`${name}\` in \`PATH\``, "install `writ` before this step, or give `cli-path`, or `cli-url` with `cli-sha256`");
};

const runs = (path) => {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
};

const fetched = async (url, to) => {
  const failed = (why) => new Problem(`\`cli-url\` cannot be fetched: ${why}`, "is the address right, and may this runner reach it?");
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(FETCH) });
    if (!answer.ok || !answer.body) throw failed(`status ${answer.status}`);
    let length = 0;
    const bound = new Transform({
      transform: (part, _, done) => ((length += part.length) > LARGEST ? done(failed("it is too large")) : done(null, part)),
    });
    await pipeline(Readable.fromWeb(answer.body), bound, createWriteStream(to, { mode: 0o600 }));
  } catch (error) {
    throw error instanceof Problem ? error : failed(error?.cause?.message ?? error?.message);
  }
};

const sha256 = async (path) => {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
};
