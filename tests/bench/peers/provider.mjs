// npm's oidc-provider as a peer of the benchmark, in its memory adapter. What differs from its defaults makes its answers
// those of the others: the same algorithm, claims, lifetimes and rotation. Whoever is asked to sign in is Ada at once.
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";

const { PORT, CLIENTS } = process.env;
const issuer = `http://127.0.0.1:${PORT}`;
const api = "https://api.example.org";
const key = (type, options) => generateKeyPairSync(type, options).privateKey.export({ format: "jwk" });
const lifetime = 600;

const provider = new Provider(issuer, {
  clients: JSON.parse(CLIENTS).map((client) => ({
    token_endpoint_auth_method: "client_secret_basic",
    id_token_signed_response_alg: "ES256",
    response_types: client.redirect_uris?.length ? ["code"] : [],
    ...client,
  })),
  jwks: { keys: [{ ...key("ec", { namedCurve: "P-256" }), alg: "ES256", use: "sig" }] },
  scopes: ["openid", "email"],
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  expiresWithSession: () => false,
  issueRefreshToken: (_context, client) => client.grantTypeAllowed("refresh_token"),
  ttl: {
    AccessToken: lifetime, ClientCredentials: lifetime, IdToken: lifetime, AuthorizationCode: 60,
    RefreshToken: 14 * 86400, Session: 86400, Grant: 86400, Interaction: 600,
  },
  cookies: { keys: ["a key of this run only"] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      // A client whose id ends so gets random access tokens, which are the only ones that userinfo and introspection take.
      defaultResource: (_context, client) => (client.clientId.endsWith("opaque") ? undefined : api),
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: "email", audience: api, accessTokenFormat: "jwt", accessTokenTTL: lifetime, jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
  findAccount: (_context, accountId) => ({
    accountId,
    // The others show the address at userinfo only.
    claims: (use) => ({ sub: accountId, ...(use === "userinfo" && { email: "ada@example.org", email_verified: true }) }),
  }),
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  loadExistingGrant: async (context) => {
    const { client, session } = context.oidc;
    const id = session.grantIdFor(client.clientId);
    // The adapter forgets what was not asked for while others were busy.
    const known = id && (await provider.Grant.find(id));
    if (known) return known;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope("openid email");
    grant.addResourceScope(api, "email");
    await grant.save();
    return grant;
  },
});

const answer = provider.callback();
createServer(async (request, response) => {
  if (!request.url.startsWith("/interaction/")) return answer(request, response);
  try {
    await provider.interactionFinished(request, response, { login: { accountId: "ada" } });
  } catch (error) {
    console.error(error);
    response.writeHead(500).end();
  }
}).listen(PORT, "127.0.0.1");
