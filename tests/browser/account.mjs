// rule_75: a person sees and ends what is theirs.

import assert from "node:assert/strict";

import { App } from "./app.mjs";
import { atConsent, atSignIn, signIn, typeCredentials } from "./person.mjs";
import { scenario, settings } from "./stage.mjs";

const { issuer, person, sampleApp, sampleClientId, publicClientId } = settings;

async function atAccount(page) {
  await page.locator("#sessions").waitFor();
  assert.equal(new URL(page.url()).pathname, "/account");
  return page.locator("main").innerText();
}

async function ended(page, said) {
  await page.locator("[role=status]#done").waitFor();
  assert.equal(await page.locator("#done").innerText(), said);
  return atAccount(page);
}

function button(page, clientId) {
  return page.locator(`[id="end-app-${clientId}"]`);
}

await scenario("account", async (stage) => {
  const { page } = await stage.browser();
  await page.goto(`${issuer}/`);
  await page.locator("a#account").click();
  await atSignIn(page);
  assert.equal(await page.evaluate(() => document.activeElement.id), "username");
  await stage.examine(page, "sign-in");
  await typeCredentials(page, { ...person, password: "not-the-password" });
  await page.locator("[role=alert]#error").waitFor();
  await typeCredentials(page);
  let text = await atAccount(page);
  for (const known of [person.name, person.username, person.email]) assert.ok(text.includes(known), known);
  assert.match(text, /No app has access/);
  await stage.examine(page, "account");

  // Two apps here, one of them in a second browser too.
  await page.goto(sampleApp);
  await page.locator("#sign-in").click();
  await atConsent(page);
  const asked = await page.locator("main").innerText();
  assert.ok(asked.includes(`${person.name} (${person.username})`), asked);
  await page.locator("#allow").click();
  await page.locator("#claims").waitFor();
  const app = await App.start(stage);
  const other = await stage.browser();
  await signIn(other.page, app);
  const third = await stage.browser();
  await third.page.goto(`${issuer}/account`);
  await typeCredentials(third.page);
  await atAccount(third.page);

  await page.goto(`${issuer}/`);
  await page.locator("a#account").click();
  text = await atAccount(page);
  assert.match(text, /Sample app/);
  assert.match(text, /Native app/);
  assert.match(text, /keeps access while you are away/);
  assert.equal(await page.getByText("Another browser").count(), 2);
  await stage.examine(page, "sessions-and-apps");

  // One session: that browser is signed out at once.
  const entry = page.locator("li", { hasText: "Apps: Native app" });
  await entry.getByRole("button").click();
  await ended(page, "That browser is signed out.");
  assert.equal(await page.getByText("Another browser").count(), 1);
  await stage.examine(page, "session-ended");
  await other.page.goto(app.attempt().url);
  await atSignIn(other.page);

  // All others.
  await page.locator("#end-other-sessions").click();
  await ended(page, "All other browsers are signed out.");
  assert.equal(await page.getByText("Another browser").count(), 0);
  assert.equal(await page.locator("#end-other-sessions").count(), 0);
  await third.page.goto(`${issuer}/account`);
  await atSignIn(third.page);

  // One app: it has to ask again.
  await button(page, sampleClientId).click();
  text = await ended(page, "That app has no access any more.");
  assert.doesNotMatch(text, /Sample app/);
  await button(page, publicClientId).click();
  await ended(page, "That app has no access any more.");
  await page.goto(sampleApp);
  await page.locator("#sign-in").click();
  await atConsent(page);
  await stage.examine(page, "consent-again");

  // The message belongs to what was done, and a reload of the page ends nothing else.
  await page.goto(`${issuer}/account`);
  await atAccount(page);
  assert.equal(await page.locator("#done").count(), 0);
});
