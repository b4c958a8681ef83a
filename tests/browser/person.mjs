// What a person does on claviger's pages, by the ids that the pages promise to keep.

import assert from "node:assert/strict";

import { settings } from "./stage.mjs";

/** The page asks for username and password. */
export async function atSignIn(page) {
  await page.locator("#password").waitFor();
  assert.equal(new URL(page.url()).origin, settings.issuer);
}

/** The page asks whether the app may. */
export async function atConsent(page) {
  await page.locator("#allow").waitFor();
  assert.equal(new URL(page.url()).origin, settings.issuer);
}

/** The page says that something is wrong, and gives what helps an administrator to find out. */
export async function atError(page) {
  await page.locator("h1#error").waitFor();
  assert.equal(new URL(page.url()).origin, settings.issuer);
  assert.notEqual(await page.locator("#error-description").innerText(), "");
  assert.match(await page.locator("#request-id").innerText(), /^[\w-]{8,}$/);
}

/** Types username and password and sends them. */
export async function typeCredentials(page, { username, password } = settings.person) {
  await page.locator("#username").fill(username);
  await page.locator("#password").fill(password);
  await page.locator("#sign-in").click();
}

/** The whole way from an authorization request of the app to its answer, with everything allowed. */
export async function signIn(page, app, parameters = {}) {
  const attempt = app.attempt(parameters);
  await page.goto(attempt.url);
  await atSignIn(page);
  await typeCredentials(page);
  await atConsent(page);
  await page.locator("#allow").click();
  return app.claims(page, attempt);
}

/** Allows an app what it was allowed before: a native app, whose redirect URI proves nothing, asks again (RFC 8252). */
export async function allowAgain(page) {
  await atConsent(page);
  await page.locator("#allow").click();
}

/** The cookies that claviger has given this browser, as `{browser, session, known}`. */
export async function cookies(context) {
  const all = await context.cookies(settings.issuer);
  // Cookies know no ports: the sample app, on the same host, has one of its own.
  const named = (what) => all.filter((cookie) => cookie.name.includes(`claviger-${what}-`));
  const found = { browser: named("browser"), session: named("session"), known: named("known") };
  assert.ok(Object.values(found).every((list) => list.length <= 1), "a cookie is there twice");
  return { browser: found.browser[0], session: found.session[0], known: found.known[0] };
}
