// An app of the scenario's own, for what the sample app does not do: any authorization request, and a look at the
// answer. A public client on a port that nobody has registered, as a native app is (RFC 8252 section 7.3).

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";

import { settings } from "./stage.mjs";

const PAGE = `<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">
<meta name=color-scheme content="light dark"><title>App</title><main><h1 id=arrived>Back at the app</h1></main></html>`;

export async function listen(handler) {
  const server = createServer(handler);
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  return server;
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

/** The parameters of an answer to this very attempt, each of which comes once. */
function checked(parameters, attempt) {
  const answer = Object.fromEntries(parameters);
  assert.equal(Object.keys(answer).length, [...parameters].length, "a parameter is repeated");
  assert.equal(answer.state, attempt.state, "the answer is to another request");
  assert.equal(answer.iss, settings.issuer, "the answer is from another issuer");
  return answer;
}

export class App {
  #server;
  #clientId;
  #posts;

  constructor(server, clientId, posts) {
    this.#server = server;
    this.#clientId = clientId;
    this.#posts = posts;
  }

  static async start(stage, clientId = settings.publicClientId) {
    const posts = [];
    const server = await listen(async (request, response) => {
      const isCallback = new URL(request.url, "http://app").pathname === "/callback";
      if (isCallback && request.method === "POST") posts.push({ headers: request.headers, body: await bodyOf(request) });
      response.writeHead(isCallback ? 200 : 204, { "content-type": "text/html; charset=utf-8" });
      response.end(isCallback ? PAGE : undefined);
    });
    return stage.keep(new App(server, clientId, posts));
  }

  get redirectUri() {
    return `http://127.0.0.1:${this.#server.address().port}/callback`;
  }

  /** A new attempt; a parameter that is `null` is left out. */
  attempt(parameters = {}) {
    const random = () => randomBytes(32).toString("base64url");
    const [state, nonce, verifier] = [random(), random(), random()];
    const url = new URL(`${settings.issuer}/authorize`);
    const all = {
      response_type: "code",
      client_id: this.#clientId,
      redirect_uri: this.redirectUri,
      scope: "openid profile email",
      state,
      nonce,
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      code_challenge_method: "S256",
      ...parameters,
    };
    for (const [name, value] of Object.entries(all)) if (value !== null) url.searchParams.set(name, value);
    return { url: url.href, state: all.state, nonce, verifier };
  }

  /** Waits until the browser is back, checks whose answer it brings (RFC 6749 section 10.12, RFC 9207), and gives it. */
  async answer(page, attempt) {
    await page.waitForURL((url) => url.href.startsWith(this.redirectUri));
    await page.locator("#arrived").waitFor();
    return checked(new URL(page.url()).searchParams, attempt);
  }

  /** The same for `form_post`: the answer is in the body of a POST, and nothing of it in the address. */
  async posted(page, attempt) {
    await page.waitForURL(this.redirectUri);
    await page.locator("#arrived").waitFor();
    const { headers, body } = this.#posts.pop();
    assert.equal(headers["content-type"], "application/x-www-form-urlencoded");
    assert.equal(headers.origin, new URL(settings.issuer).origin);
    assert.equal(this.#posts.length, 0, "the answer was posted more than once");
    return checked(new URLSearchParams(body), attempt);
  }

  /** Waits for a code and gives the claims of the ID token that it is good for. */
  async claims(page, attempt) {
    return this.redeem(await this.answer(page, attempt), attempt);
  }

  /** The claims of the ID token that the code of an answer is good for. */
  async redeem({ code, error }, attempt) {
    assert.ok(code, `the answer is an error: ${error}`);
    const response = await fetch(`${settings.issuer}/api/token/v2`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "authorization_code",
        code,
        client_id: this.#clientId,
        redirect_uri: this.redirectUri,
        code_verifier: attempt.verifier,
      }),
    });
    assert.equal(response.status, 200, "the code is not accepted");
    const { id_token: idToken } = await response.json();
    this.idToken = idToken;
    // Over a connection to the issuer itself; the signature is for the other tests.
    const claims = JSON.parse(Buffer.from(idToken.split(".")[1], "base64url").toString());
    assert.equal(claims.nonce, attempt.nonce);
    return claims;
  }

  async close() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
