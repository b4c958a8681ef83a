// rule_61: a person chooses another password, with the keyboard alone, and again without JavaScript.

import assert from "node:assert/strict";

import { tabTo } from "./keys.mjs";
import { atSignIn, cookies, typeCredentials } from "./person.mjs";
import { scenario, settings } from "./stage.mjs";

const { issuer, person } = settings;
const CHANGED = "Your password is changed. All other browsers are signed out.";

async function alert(page, pattern) {
  await page.locator("[role=alert]#error", { hasText: pattern }).waitFor();
}

/** Types three fields one after the other, and Enter. */
async function type(page, first, ...passwords) {
  const order = ["current-password", "new-password", "repeat-password"];
  await tabTo(page, first, 0);
  for (const [index, password] of passwords.entries()) {
    if (index > 0) await tabTo(page, order[order.indexOf(first) + index], 1);
    await page.keyboard.type(password);
  }
  await page.keyboard.press("Enter");
}

await scenario("password", async (stage) => {
  const { context, page } = await stage.browser();
  await page.goto(`${issuer}/account`);
  await typeCredentials(page);
  await page.locator("#sessions").waitFor();
  const other = await stage.browser({ javaScriptEnabled: false });
  await other.page.goto(`${issuer}/account`);
  await typeCredentials(other.page);
  await other.page.locator("#sessions").waitFor();

  await tabTo(page, "change-password");
  await page.keyboard.press("Enter");
  await page.locator("#current-password").waitFor();
  assert.equal(await page.locator("#current-password").getAttribute("autocomplete"), "current-password");
  assert.equal(await page.locator("#new-password").getAttribute("autocomplete"), "new-password");
  await stage.examine(page, "form");

  await type(page, "current-password", "not-the-password", "another good password", "another good password");
  await alert(page, /current password is not right/);
  assert.equal(await page.locator("#current-password").getAttribute("aria-describedby"), "error");
  assert.equal(await page.locator("#new-password").inputValue(), "", "a password came back");
  await stage.examine(page, "wrong-password");
  await type(page, "current-password", person.password, "password", "password");
  await alert(page, /most common/);
  await stage.examine(page, "common-password");
  // The new password is what has to be typed again, and there the focus is.
  await tabTo(page, "new-password", 0);
  await page.keyboard.press("Shift+Tab");
  await type(page, "current-password", person.password, "another good password", "another good passwort");
  await alert(page, /differ/);
  await page.keyboard.press("Shift+Tab");
  const { session } = await cookies(context);
  await type(page, "current-password", person.password, "another good password", "another good password");
  await page.locator("#done", { hasText: CHANGED }).waitFor();
  assert.match(await page.locator("main").innerText(), /You chose your password on/);
  await stage.examine(page, "changed");
  assert.notEqual((await cookies(context)).session.value, session.value, "the session has its old id");

  // The other browser is signed out; the old password is worth nothing, and the new one works without JavaScript too.
  const changed = { ...person, password: "another good password" };
  await other.page.goto(`${issuer}/account`);
  await atSignIn(other.page);
  await typeCredentials(other.page);
  await alert(other.page, /not right/);
  await typeCredentials(other.page, changed);
  await other.page.locator("a#change-password").click();
  await other.page.locator("#current-password").fill(changed.password);
  await other.page.locator("#new-password").fill(person.password);
  await other.page.locator("#repeat-password").fill(person.password);
  await other.page.locator("button#change-password").click();
  await other.page.locator("#done", { hasText: CHANGED }).waitFor();
  await page.reload();
  await atSignIn(page);
  await typeCredentials(page);
  await page.locator("#sessions").waitFor();
  await page.locator("button#end-other-sessions").click();
  await page.locator("#done").waitFor();
  stage.say("changed back without JavaScript");
});
