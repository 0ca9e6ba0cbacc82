// npm oidc-provider, a conformant OpenID provider, as the issuer of humans: code with PKCE, and the device flow (RFC 8628).
// Its own development pages take any name as a login. Serves https with the certificate that it is given, prints its issuer
// as one line of JSON, and ends when its standard input does.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { createRequire } from "node:module";

const require = createRequire(process.env.WRIT_NODE_MODULES ?? import.meta.url);
const { default: Provider } = await import(require.resolve("oidc-provider"));

const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
const AUDIENCE = process.env.WRIT_AUDIENCE;
const publicClient = (client_id, more) => ({
  client_id,
  application_type: "native",
  token_endpoint_auth_method: "none",
  redirect_uris: [],
  response_types: [],
  grant_types: [DEVICE],
  ...more,
});
const coded = { redirect_uris: ["http://127.0.0.1/callback"], response_types: ["code"] };

const server = createServer({ cert: readFileSync(process.env.WRIT_CERT), key: readFileSync(process.env.WRIT_KEY) });
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const issuer = `https://localhost:${server.address().port}`;

const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const provider = new Provider(issuer, {
  clients: [
    // What psql names as oauth_client_id; its access token is a JWT for the gateway's audience.
    publicClient("writ-psql"),
    // What `writ login` uses; its ID token is for the broker.
    publicClient("writ-cli", { ...coded, grant_types: ["authorization_code", DEVICE] }),
  ],
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256", kid: "one" }] },
  cookies: { keys: [randomBytes(16).toString("hex")] },
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  features: {
    deviceFlow: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (_, client) => (client.clientId === "writ-psql" ? "urn:writ:gateway" : undefined),
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: "", audience: AUDIENCE, accessTokenFormat: "jwt", accessTokenTTL: 300, jwt: { sign: { alg: "RS256" } },
      }),
    },
  },
  ttl: { AccessToken: 300, IdToken: 300, DeviceCode: 300, Grant: 600, Interaction: 600, Session: 600 },
});
// Clients poll each second instead of each five (RFC 8628, section 3.2).
provider.use(async (context, next) => {
  await next();
  if (context.oidc?.route === "device_authorization" && context.body?.device_code) context.body.interval = 1;
});
for (const event of ["server_error", "grant.error", "authorization.error", "device_code.error"])
  provider.on(event, (_, error) => console.error(event, error.message, error.error_description ?? ""));

server.on("request", provider.callback());
console.log(JSON.stringify({ issuer }));
process.stdin.on("end", () => process.exit(0)).resume();
