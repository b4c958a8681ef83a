// The longest names, made of markup: they are shown as they are, on pages that stay in shape.

import assert from "node:assert/strict";

import { App } from "./app.mjs";
import { atConsent, atError, atSignIn, typeCredentials } from "./person.mjs";
import { scenario, settings } from "./stage.mjs";

const { hostileClientId, hostileName } = settings;

async function isText(page) {
  assert.ok((await page.locator("main").innerText()).includes(hostileName), "the app's name is not shown as it is");
  assert.equal(await page.locator("img, script, b").count(), 0, "the app's name has become markup");
}

await scenario("hostile-names", async (stage) => {
  const { page } = await stage.browser();
  const app = await App.start(stage, hostileClientId);

  await page.goto(app.attempt({ redirect_uri: "https://evil.example/" }).url);
  await atError(page);
  await isText(page);
  await stage.examine(page, "error");

  const attempt = app.attempt({ scope: "openid profile email groups offline_access" });
  await page.goto(attempt.url);
  await atSignIn(page);
  await isText(page);
  await stage.examine(page, "sign-in");

  // What a person types comes back as it was typed.
  const typed = `"><img src=x onerror=alert(1)>${"w".repeat(60)}`;
  await typeCredentials(page, { username: typed, password: "not-the-password" });
  await page.locator("[role=alert]#error").waitFor();
  assert.equal(await page.locator("#username").inputValue(), typed);
  await isText(page);

  await typeCredentials(page);
  await atConsent(page);
  await isText(page);
  await stage.examine(page, "consent");
  await page.locator("#allow").click();
  await app.claims(page, attempt);
});
