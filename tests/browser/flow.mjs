// The whole authorization code flow, from the sample app and back to it.

import assert from "node:assert/strict";

import { atConsent, atSignIn, typeCredentials } from "./person.mjs";
import { scenario, settings } from "./stage.mjs";

const { person, sampleApp, issuer } = settings;

async function claims(page) {
  await page.locator("#claims").waitFor();
  const rows = await page.locator("#claims tr").all();
  const cells = await Promise.all(
    rows.map(async (row) => [await row.locator("th").innerText(), await row.locator("td").innerText()]),
  );
  return Object.fromEntries(cells);
}

await scenario("flow", async (stage) => {
  const { page } = await stage.browser();
  await page.goto(sampleApp);
  await stage.examine(page, "app");

  await page.locator("#sign-in").click();
  await atSignIn(page);
  assert.equal(await page.evaluate(() => document.activeElement.id), "username", "nobody wants to click first");
  assert.equal(await page.locator("#username").getAttribute("autocomplete"), "username");
  assert.equal(await page.locator("#password").getAttribute("autocomplete"), "current-password");
  await stage.examine(page, "sign-in");

  // A wrong password: the same page says so, aloud, and keeps the username.
  await typeCredentials(page, { ...person, password: `${person.password}x` });
  const alert = page.locator("[role=alert]#error");
  await alert.waitFor();
  const refusal = await alert.innerText();
  assert.equal(await page.locator("#username").inputValue(), person.username);
  assert.equal(await page.locator("#password").inputValue(), "");
  assert.equal(await page.locator("#password").getAttribute("aria-describedby"), "error");
  assert.equal(await page.evaluate(() => document.activeElement.id), "password");
  await stage.examine(page, "wrong-password");

  // An unknown username: the same words, so that nobody learns who has an account.
  await typeCredentials(page, { username: `${person.username}-unknown`, password: person.password });
  await page.waitForFunction((name) => document.querySelector("#username")?.value.endsWith(name), "-unknown");
  assert.equal(await alert.innerText(), refusal);

  await typeCredentials(page);
  await atConsent(page);
  const text = await page.locator("main").innerText();
  assert.ok(text.includes(person.name), "the consent page does not say who is signed in");
  await stage.examine(page, "consent");

  await page.locator("#allow").click();
  const told = await claims(page);
  await stage.examine(page, "claims");
  assert.equal(told.iss, issuer);
  assert.equal(told.aud, settings.sampleClientId);
  assert.equal(told.email, person.email);
  assert.equal(told.name, person.name);

  // Again: the session and the remembered consent answer at once.
  await page.goto(sampleApp);
  await page.locator("#sign-in").click();
  assert.equal((await claims(page)).sub, told.sub);

  // In another browser: the consent is remembered, and the session is not there.
  const other = await stage.browser();
  await other.page.goto(sampleApp);
  await other.page.locator("#sign-in").click();
  await atSignIn(other.page);
  await typeCredentials(other.page);
  assert.equal((await claims(other.page)).sub, told.sub);
});
