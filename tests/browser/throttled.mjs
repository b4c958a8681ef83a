// Too many wrong passwords: the page says when to try again, keeps the username, and lets others in.

import assert from "node:assert/strict";

import { App } from "./app.mjs";
import { atSignIn, typeCredentials } from "./person.mjs";
import { scenario } from "./stage.mjs";

await scenario("throttled", async (stage) => {
  const { page } = await stage.browser();
  const app = await App.start(stage);
  await page.goto(app.attempt().url);
  await atSignIn(page);
  // Nobody's name, so that the other scenarios, at the same address, are not slowed down.
  const wrong = { username: "guessed", password: "not-the-password" };
  const submit = async () => {
    const [response] = await Promise.all([
      page.waitForResponse((response) => response.request().method() === "POST"),
      typeCredentials(page, wrong),
    ]);
    await page.locator("[role=alert]#error").waitFor();
    return response;
  };
  for (let number = 0; number < 10; number += 1) {
    assert.equal((await submit()).status(), 403, `attempt ${number}`);
  }

  // rule_68: 429, with the same time for the browser and for the person. The wait may be over on a slow machine: then the
  // next one is longer.
  let refused = await submit();
  for (let number = 0; refused.status() === 403 && number < 5; number += 1) refused = await submit();
  assert.equal(refused.status(), 429);
  const seconds = Number((await refused.allHeaders())["retry-after"]);
  assert.ok(seconds >= 1 && seconds <= 60, `${seconds} seconds`);
  const text = await page.locator("#error").innerText();
  assert.ok(text.includes(`try again in ${seconds} second`), text);
  assert.equal(await page.locator("#username").inputValue(), wrong.username);
  assert.equal(await page.locator("#password").inputValue(), "");
  await stage.examine(page, "throttled");

  // Another account is not slowed down.
  await typeCredentials(page);
  await page.locator("#allow").waitFor();
});
