// What cannot be answered is said on a page, to the person and to the administrator, and never by a redirect.

import assert from "node:assert/strict";

import { App } from "./app.mjs";
import { atConsent, atError, atSignIn, cookies, typeCredentials } from "./person.mjs";
import { scenario, settings } from "./stage.mjs";

const MARK = "zz-mark-zz";

await scenario("errors", async (stage) => {
  const { context, page } = await stage.browser();
  const app = await App.start(stage);

  // rule_1: without a client and an address that are known to be good there is nowhere to go.
  const requests = {
    "unknown-client": { client_id: `team-a.${MARK}`, state: `<script>${MARK}</script>` },
    "unregistered-redirect-uri": { redirect_uri: `https://evil.example/${MARK}` },
    "missing-redirect-uri": { redirect_uri: null, scope: `openid ${MARK}` },
    "missing-client": { client_id: null, state: `"><img src=x onerror=alert(1)>${MARK}` },
  };
  for (const [what, parameters] of Object.entries(requests)) {
    const response = await page.goto(app.attempt(parameters).url);
    assert.equal(response.status(), 400, what);
    await atError(page);
    assert.ok(!(await response.text()).includes(MARK), `the page for ${what} repeats what was sent`);
    await stage.examine(page, what);
  }

  // The sign-in page is at the request it belongs to, not at a fixed address.
  assert.equal((await page.goto(`${settings.issuer}/login`)).status(), 400);
  await atError(page);
  await stage.examine(page, "sign-in-without-a-request");

  // What travels through the browser cannot be altered, not by one character at any place.
  for (const place of ["start", "middle", "end"]) {
    await page.goto(app.attempt().url);
    await atSignIn(page);
    await page.locator("input[name=interaction]").evaluate((field, place) => {
      const at = { start: 0, middle: field.value.length >> 1, end: field.value.length - 2 }[place];
      const other = field.value[at] === "A" ? "B" : "A";
      field.value = field.value.slice(0, at) + other + field.value.slice(at + 1);
    }, place);
    await typeCredentials(page);
    await atError(page);
    assert.equal((await cookies(context)).session, undefined, "an altered form has signed somebody in");
  }
  await stage.examine(page, "altered-form");

  // A form without the token that this browser was shown.
  await page.goto(app.attempt().url);
  await atSignIn(page);
  await page.locator("input[name=csrf_token]").evaluate((field) => field.remove());
  await typeCredentials(page);
  await atError(page);
  assert.equal((await cookies(context)).session, undefined);
  await stage.examine(page, "form-without-token");

  // A question is answered once; going back to it later finds it out of date.
  const attempt = app.attempt();
  await page.goto(attempt.url);
  await atSignIn(page);
  await typeCredentials(page);
  await atConsent(page);
  const question = page.url();
  const second = await stage.tab(context);
  await second.goto(question);
  await atConsent(second);
  await page.locator("#allow").click();
  await app.claims(page, attempt);
  await second.locator("#allow").click();
  await atError(second);
  await stage.examine(second, "answered-already");
  assert.equal((await second.goto(question)).status(), 400);
  await atError(second);
});
