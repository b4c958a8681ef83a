// rule_71: an app signs the person out at claviger, and the browser comes back to it where that is registered.

import assert from "node:assert/strict";

import { App } from "./app.mjs";
import { atSignIn, cookies, typeCredentials } from "./person.mjs";
import { scenario, settings } from "./stage.mjs";

const { issuer, person, publicClientId, sampleApp } = settings;

function logout(parameters) {
  const url = new URL(`${issuer}/logout`);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
}

/** Signs in and gives the ID token. */
async function idToken(page, app) {
  const attempt = app.attempt();
  await page.goto(attempt.url);
  await atSignIn(page);
  await typeCredentials(page);
  // Whoever has just signed in is asked the first time only.
  await page.locator("#allow, #arrived").waitFor();
  if ((await page.locator("#allow").count()) > 0) await page.locator("#allow").click();
  await app.claims(page, attempt);
  return app.idToken;
}

await scenario("app-sign-out", async (stage) => {
  const { context, page } = await stage.browser();
  const app = await App.start(stage);
  const back = { post_logout_redirect_uri: sampleApp };

  // With an ID token of this session nobody is asked.
  const hint = await idToken(page, app);
  await page.goto(logout({ ...back, id_token_hint: hint, state: "a b" }));
  await page.waitForURL(`${sampleApp}?state=a+b`);
  assert.equal((await cookies(context)).session, undefined, "the cookie is still there");
  stage.say("signed out at once");

  // With one of an earlier session the person is asked, and told who asks.
  await idToken(page, app);
  await page.goto(logout({ ...back, id_token_hint: hint }));
  await page.locator("#confirm-logout").waitFor();
  const text = await page.locator("main").innerText();
  for (const known of ["Native app", person.name]) assert.ok(text.includes(known), known);
  await stage.examine(page, "asked-by-an-app");
  assert.ok((await cookies(context)).session, "opening the page has signed out");
  await page.locator("#confirm-logout").click();
  await page.waitForURL(sampleApp);
  assert.equal((await cookies(context)).session, undefined, "the cookie is still there");

  // By POST from the app's own site, which comes without cookies.
  const fresh = await idToken(page, app);
  await page.goto(app.redirectUri);
  await page.evaluate(
    ([action, fields]) => {
      const form = document.body.appendChild(Object.assign(document.createElement("form"), { method: "post", action }));
      for (const [name, value] of Object.entries(fields)) {
        form.appendChild(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
      }
      form.submit();
    },
    [`${issuer}/logout`, { ...back, id_token_hint: fresh }],
  );
  await page.waitForURL(sampleApp);
  stage.say("signed out by POST");

  // Anywhere else the browser does not go: the person is signed out and stays.
  const another = await idToken(page, app);
  await page.goto(logout({ id_token_hint: another, client_id: publicClientId, post_logout_redirect_uri: app.redirectUri }));
  await page.locator("#signed-out").waitFor();
  assert.equal(page.url(), `${issuer}/logout`, "the address tells what was asked");
  await stage.examine(page, "signed-out");
});
