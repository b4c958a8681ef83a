// A person says no: the app is told so, and asked again the next time.

import assert from "node:assert/strict";

import { App } from "./app.mjs";
import { atConsent, atSignIn, typeCredentials } from "./person.mjs";
import { scenario, settings } from "./stage.mjs";

await scenario("deny", async (stage) => {
  const { page } = await stage.browser();
  await page.goto(settings.sampleApp);
  await page.locator("#sign-in").click();
  await atSignIn(page);
  await typeCredentials(page);
  await atConsent(page);
  await page.locator("#deny").click();
  await page.waitForURL((url) => url.href.startsWith(settings.sampleApp));
  assert.equal(new URL(page.url()).searchParams.get("error"), "access_denied");
  assert.match(await page.locator("#error").innerText(), /access_denied/);
  await stage.examine(page, "denied");

  // The answer is not remembered, and another app is told about its own request.
  const app = await App.start(stage);
  for (const round of [1, 2]) {
    const attempt = app.attempt();
    await page.goto(attempt.url);
    await atConsent(page);
    await page.locator("#deny").click();
    const answer = await app.answer(page, attempt);
    assert.equal(answer.error, "access_denied", `round ${round}`);
    assert.equal(answer.code, undefined);
  }

  // Who says no first may say yes later.
  const attempt = app.attempt();
  await page.goto(attempt.url);
  await atConsent(page);
  await page.locator("#allow").click();
  assert.equal((await app.claims(page, attempt)).aud, settings.publicClientId);
});
