// rule_72: after signing out nobody is signed in, whatever the browser still knows.

import assert from "node:assert/strict";

import { App } from "./app.mjs";
import { atSignIn, cookies, signIn } from "./person.mjs";
import { scenario, settings } from "./stage.mjs";

const { issuer, person } = settings;

await scenario("sign-out", async (stage) => {
  const { context, page } = await stage.browser();
  const app = await App.start(stage);
  await page.goto(`${issuer}/`);
  await stage.examine(page, "nobody");
  await signIn(page, app);

  await page.goto(`${issuer}/`);
  assert.ok((await page.locator("main").innerText()).includes(person.name));
  await stage.examine(page, "account");
  await page.locator("a#logout").click();

  // A link alone signs nobody out.
  await page.locator("#confirm-logout").waitFor();
  await stage.examine(page, "sign-out");
  const { session } = await cookies(context);
  assert.ok(session, "opening the page has signed out");
  const silent = app.attempt({ prompt: "none" });
  const tab = await stage.tab(context);
  await tab.goto(silent.url);
  assert.equal((await app.answer(tab, silent)).error, "consent_required");

  await page.locator("#confirm-logout").click();
  await page.locator("#signed-out").waitFor();
  await stage.examine(page, "signed-out");
  assert.equal((await cookies(context)).session, undefined, "the cookie is still there");

  // Back, and back again: no page shows who was here.
  for (let steps = 1; steps <= 4; steps += 1) {
    // A page that the browser has kept is there at once and is not loaded.
    await page.goBack({ waitUntil: "commit" });
    await page.waitForFunction(() => document.readyState === "complete");
    const shown = await page.locator("body").innerText();
    assert.ok(!shown.includes(person.name) && !shown.includes(person.username), `${steps} steps back: ${shown}`);
    if (steps === 1) await stage.examine(page, "back");
  }

  // Silent sign-in fails, and so it does for whoever has kept the cookie.
  for (const kept of [[], [session]]) {
    await context.addCookies(kept);
    const attempt = app.attempt({ prompt: "none" });
    await tab.goto(attempt.url);
    assert.equal((await app.answer(tab, attempt)).error, "login_required");
  }
  await tab.goto(app.attempt().url);
  await atSignIn(tab);
  assert.equal(await tab.locator("#username").inputValue(), "", "the form tells who was here");
});
