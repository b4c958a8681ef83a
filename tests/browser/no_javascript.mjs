// Everything works without JavaScript.

import assert from "node:assert/strict";

import { atConsent, atSignIn, typeCredentials } from "./person.mjs";
import { scenario, settings } from "./stage.mjs";

const { issuer, person, sampleApp } = settings;

await scenario("no-javascript", async (stage) => {
  const { page } = await stage.browser({ javaScriptEnabled: false });
  await page.goto(sampleApp);
  await page.locator("#sign-in").click();
  await atSignIn(page);
  await typeCredentials(page, { ...person, password: "not-the-password" });
  await page.locator("[role=alert]#error").waitFor();
  assert.equal(await page.locator("#username").inputValue(), person.username);
  await typeCredentials(page);
  await atConsent(page);
  await page.locator("#allow").click();
  await page.locator("#claims").waitFor();
  assert.ok((await page.locator("#claims").innerText()).includes(person.email));
  stage.say("signed in to the sample app");

  await page.goto(`${issuer}/logout`);
  await page.locator("#confirm-logout").click();
  await page.locator("#signed-out").waitFor();
  await page.goto(sampleApp);
  await page.locator("#sign-in").click();
  await atSignIn(page);
  stage.say("signed out");
});
