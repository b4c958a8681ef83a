// rule_10: with `response_mode=form_post` the browser posts the answer to the app, with and without JavaScript.

import assert from "node:assert/strict";

import { App } from "./app.mjs";
import { atConsent, atSignIn, typeCredentials } from "./person.mjs";
import { scenario } from "./stage.mjs";

const FORM_POST = { response_mode: "form_post" };
/** Everything that could break out of an attribute, or be changed by a form. */
const STATE = `"'><script>alert(1)</script>&amp;+%2B =é中`;

await scenario("form-post", async (stage) => {
  const app = await App.start(stage);

  const { page } = await stage.browser();
  const first = app.attempt({ ...FORM_POST, state: STATE });
  await page.goto(first.url);
  await atSignIn(page);
  await typeCredentials(page);
  await atConsent(page);
  await page.locator("#allow").click();
  await app.redeem(await app.posted(page, first), first);
  stage.say("posted by the script");

  const denied = app.attempt(FORM_POST);
  await page.goto(denied.url);
  await atConsent(page);
  await page.locator("#deny").click();
  assert.equal((await app.posted(page, denied)).error, "access_denied");
  const silent = app.attempt({ ...FORM_POST, prompt: "none" });
  await page.goto(silent.url);
  assert.equal((await app.posted(page, silent)).error, "consent_required");

  const plain = await stage.browser({ javaScriptEnabled: false });
  const second = app.attempt({ ...FORM_POST, state: STATE });
  await plain.page.goto(second.url);
  await atSignIn(plain.page);
  await typeCredentials(plain.page);
  const button = plain.page.locator("#continue");
  await button.waitFor();
  // Axe needs scripts, with which the page is gone at once: so it looks at the same document without its script, and with
  // what is shown to whoever runs none.
  const shown = (await plain.page.content()).replace(/<\/?noscript>/g, "").replace(/<script.*?<\/script>/s, "");
  const copy = await stage.browser();
  await copy.page.setContent(shown);
  await copy.page.locator("#continue").waitFor();
  await stage.examine(copy.page, "form-post");
  await button.click();
  await app.redeem(await app.posted(plain.page, second), second);
  stage.say("posted by the button");
});
