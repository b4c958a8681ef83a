// The cookies that a browser is given, and what else claviger leaves in it: nothing.

import assert from "node:assert/strict";

import { App } from "./app.mjs";
import { atConsent, atSignIn, cookies, typeCredentials } from "./person.mjs";
import { scenario, settings } from "./stage.mjs";

const { issuer } = settings;

/** rule_62, for a loopback issuer on plain http: neither prefix nor Secure, everything else. */
function check(cookie) {
  assert.match(cookie.name, /^claviger-(browser|session|known)-[\w-]+$/);
  assert.equal(cookie.httpOnly, true, "scripts can read it");
  assert.equal(cookie.sameSite, "Lax");
  assert.equal(cookie.path, "/");
  assert.equal(cookie.domain, "127.0.0.1", "it goes to other hosts too");
  assert.equal(cookie.secure, false);
  // At least 128 bits, and nothing that could be read.
  assert.match(cookie.value, /^[\w-]{22,1000}$/);
  if (cookie.name.includes("-known-")) {
    const days = (cookie.expires - Date.now() / 1000) / 86_400;
    assert.ok(days > 89 && days <= 90, `it is kept for ${days} days`);
  } else {
    assert.equal(cookie.expires, -1, "it outlives the browser");
  }
}

await scenario("cookies", async (stage) => {
  const { context, page } = await stage.browser();
  const app = await App.start(stage);
  const attempt = app.attempt();
  await page.goto(attempt.url);
  await atSignIn(page);
  const before = await cookies(context);
  check(before.browser);
  assert.equal(before.session, undefined, "a session before anybody has signed in");

  // rule_76: the form may lead to claviger and, by its redirect, to this app on this port, and nowhere else.
  const response = await page.reload();
  const policy = response.headers()["content-security-policy"];
  const origin = new URL(app.redirectUri).origin;
  assert.ok(policy.split("; ").includes(`form-action 'self' ${origin}`), policy);

  await typeCredentials(page);
  await atConsent(page);
  const after = await cookies(context);
  check(after.session);
  check(after.known);
  await page.locator("#allow").click();
  await app.claims(page, attempt);
  assert.equal((await context.cookies(issuer)).length, 3);

  await page.goto(`${issuer}/`);
  const kept = await page.evaluate(async () => ({
    cookie: document.cookie,
    local: localStorage.length,
    session: sessionStorage.length,
    databases: (await indexedDB.databases()).length,
    workers: (await navigator.serviceWorker?.getRegistrations())?.length ?? 0,
  }));
  assert.deepEqual(kept, { cookie: "", local: 0, session: 0, databases: 0, workers: 0 });
});
