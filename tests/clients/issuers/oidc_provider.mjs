// npm oidc-provider, a conformant OpenID provider, as an issuer of workloads' tokens: JWT access tokens (RFC 9068) by client
// credentials, over https on loopback. Its keys can be replaced while it runs, the former staying published or not.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:https";
import { audience, load, serve, tls } from "./talk.mjs";

const { default: Provider } = await load("oidc-provider");
const SECRET = randomBytes(24).toString("hex");
const kinds = {
  RS256: ["rsa", { modulusLength: 2048 }],
  PS256: ["rsa", { modulusLength: 2048 }],
  ES256: ["ec", { namedCurve: "P-256" }],
  ES384: ["ec", { namedCurve: "P-384" }],
  EdDSA: ["ed25519", undefined],
};
const fresh = (alg, kid) => {
  const { privateKey } = generateKeyPairSync(...kinds[alg]);
  return { ...privateKey.export({ format: "jwk" }), use: "sig", alg, kid };
};

const server = createServer(tls);
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const issuer = `https://localhost:${server.address().port}`;

let keys = [];
let handle;
const start = () => {
  const provider = new Provider(issuer, {
    clients: [{
      client_id: "job", client_secret: SECRET, grant_types: ["client_credentials"], redirect_uris: [], response_types: [],
    }],
    jwks: { keys },
    cookies: { keys: [SECRET] },
    enabledJWA: {
      idTokenSigningAlgValues: Object.keys(kinds),
      requestObjectSigningAlgValues: ["RS256"],
    },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          scope: "", audience, accessTokenFormat: "jwt", accessTokenTTL: 300, jwt: { sign: { alg: resource.split(":").pop() } },
        }),
      },
    },
    ttl: { ClientCredentials: 300 },
  });
  provider.on("server_error", (_, error) => console.error(error));
  handle = provider.callback();
};
keys = Object.keys(kinds).map((alg) => fresh(alg, `${alg}-1`));
start();
server.on("request", (request, response) => handle(request, response));

await serve(issuer, {
  // A new key of each kind; the former stay published if they are kept.
  rotate: ({ name, keep }) => {
    const made = Object.keys(kinds).map((alg) => fresh(alg, `${alg}-${name}`));
    keys = keep ? [...made, ...keys] : made;
    start();
  },
  // What the token endpoint answers to a client that asks for a token of this algorithm.
  token: async ({ alg }) => {
    const body = new URLSearchParams({ grant_type: "client_credentials", resource: `urn:writ:${alg}` });
    const answer = await post(`${issuer}/token`, body, `job:${SECRET}`);
    if (!answer.access_token) throw new Error(JSON.stringify(answer));
    return { token: answer.access_token };
  },
});

async function post(url, body, credentials) {
  const { request } = await import("node:https");
  const headers = {
    authorization: `Basic ${Buffer.from(credentials).toString("base64")}`,
    "content-type": "application/x-www-form-urlencoded",
  };
  return new Promise((done, fail) => {
    const sent = request(url, { method: "POST", headers, ca: tls.cert }, (response) => {
      let text = "";
      response.on("data", (part) => (text += part)).on("end", () => done(JSON.parse(text))).on("error", fail);
    });
    sent.on("error", fail).end(body.toString());
  });
}
