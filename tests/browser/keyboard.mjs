// Everything works with the keyboard alone, and it can be seen where one is.

import assert from "node:assert/strict";

import { focused, tabTo } from "./keys.mjs";
import { atConsent, atSignIn } from "./person.mjs";
import { scenario, settings } from "./stage.mjs";

const { issuer, person, sampleApp } = settings;

await scenario("keyboard", async (stage) => {
  const { page } = await stage.browser();
  await page.goto(sampleApp);
  await page.keyboard.press("Tab");
  assert.equal((await focused(page)).id, "sign-in");
  await page.keyboard.press("Enter");

  await atSignIn(page);
  await tabTo(page, "username", 0);
  await page.keyboard.type(person.username);
  await tabTo(page, "password", 1);
  await page.keyboard.type("not-the-password");
  await page.keyboard.press("Enter");

  // The password is what has to be typed again, and there the focus is.
  await page.locator("[role=alert]#error").waitFor();
  await tabTo(page, "password", 0);
  await page.keyboard.type(person.password);
  await tabTo(page, "sign-in", 1);
  await stage.examine(page, "focus-on-a-button");
  await page.keyboard.press("Space");

  await atConsent(page);
  await tabTo(page, "allow");
  await tabTo(page, "deny", 1);
  await page.keyboard.press("Shift+Tab");
  await tabTo(page, "allow", 0);
  await page.keyboard.press("Enter");
  await page.locator("#claims").waitFor();
  assert.ok((await page.locator("#claims").innerText()).includes(person.email));

  await page.goto(`${issuer}/`);
  await tabTo(page, "account");
  await tabTo(page, "logout", 1);
  await page.keyboard.press("Enter");
  await page.locator("#confirm-logout").waitFor();
  await tabTo(page, "confirm-logout");
  await page.keyboard.press("Enter");
  await page.locator("#signed-out").waitFor();
});
