// npm oauth2-mock-server as an issuer of workloads' tokens, over https on loopback. A key can be added while it runs.
import { audience, load, serve, tls } from "./talk.mjs";

const { OAuth2Server } = await load("oauth2-mock-server");
const server = new OAuth2Server(process.env.WRIT_KEY, process.env.WRIT_CERT);
await server.issuer.keys.generate("RS256", { kid: "RS256" });
await server.start(0, "127.0.0.1");
server.issuer.url = `https://localhost:${server.address().port}`;

const common = (_, payload) => {
  const now = Math.floor(Date.now() / 1000);
  Object.assign(payload, { aud: audience, sub: "mock-job", jti: crypto.randomUUID(), iat: now, exp: now + 300 });
};
await serve(server.issuer.url, {
  key: async ({ alg, kid }) => void (await server.issuer.keys.generate(alg, { kid })),
  // A token by the key of this name, its claims changed.
  token: async ({ kid, claims = {} }) => ({
    token: await server.issuer.buildToken({
      kid,
      scopesOrTransform: (header, payload) => {
        common(header, payload);
        Object.assign(payload, claims);
      },
    }),
  }),
});
