// GitHub's own client as an App: asks for a narrowed token, looks what it is for, takes it back, and looks again. Reads a line of
// JSON from standard input, prints one.
import { createAppAuth } from "@octokit/auth-app";
import { request } from "@octokit/request";
import { readFileSync } from "node:fs";

const asked = JSON.parse(readFileSync(0, "utf8"));
const at = request.defaults({ baseUrl: asked.api, headers: { "user-agent": "writ-test" } });
const auth = createAppAuth({ appId: asked.app, privateKey: asked.key, request: at });
const said = { app: null, token: null, seen: null, after: null, refused: null };
try {
  const { token } = await auth({ type: "app" });
  const app = await at("GET /app", { headers: { authorization: `bearer ${token}` } });
  said.app = app.data.client_id;
  const { installation: installationId, repositories: repositoryNames, permissions } = asked;
  const got = await auth({ type: "installation", installationId, repositoryNames, permissions });
  said.token = { permissions: got.permissions, repositories: got.repositoryNames, expires: got.expiresAt };
  const headers = { authorization: `token ${got.token}` };
  const seen = await at("GET /installation/repositories", { headers });
  said.seen = seen.data.repositories.map((one) => one.full_name);
  await at("DELETE /installation/token", { headers });
  said.after = await at("GET /installation/repositories", { headers }).then(() => 200, (error) => error.status);
} catch (error) {
  said.refused = { status: error.status ?? null, message: error.message };
}
console.log(JSON.stringify(said));
