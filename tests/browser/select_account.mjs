// rule_16: `prompt=select_account` shows who is signed in and lets the person go on or be somebody else.

import assert from "node:assert/strict";

import { App } from "./app.mjs";
import { allowAgain, atSignIn, signIn } from "./person.mjs";
import { scenario, settings } from "./stage.mjs";

const { person } = settings;

await scenario("select-account", async (stage) => {
  const { page } = await stage.browser();
  const app = await App.start(stage);
  await signIn(page, app);

  const attempt = app.attempt({ prompt: "select_account" });
  await page.goto(attempt.url);
  await page.locator("#continue").waitFor();
  const text = await page.locator("main").innerText();
  for (const known of [person.name, person.username, "Native app"]) assert.ok(text.includes(known), known);
  await stage.examine(page, "select-account");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "continue");
  await page.keyboard.press("Enter");
  await allowAgain(page);
  await app.claims(page, attempt);

  await page.goto(app.attempt({ prompt: "select_account" }).url);
  await page.locator("#another-account").click();
  await atSignIn(page);
  assert.equal(await page.locator("#username").inputValue(), "", "the form is somebody's already");
  await stage.examine(page, "another-account");
});
