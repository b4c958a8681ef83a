// Everything works with the keyboard alone, and it can be seen where one is.

import assert from "node:assert/strict";

import { atConsent, atSignIn } from "./person.mjs";
import { scenario, settings } from "./stage.mjs";

const { issuer, person, sampleApp } = settings;

async function focused(page) {
  return page.evaluate(() => {
    const { id, ...element } = { id: document.activeElement.id, element: document.activeElement };
    const style = getComputedStyle(element.element);
    return { id, outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth) };
  });
}

/** Presses Tab until the element has the focus, which the person must be able to see. */
async function tabTo(page, id, most = 4) {
  for (let presses = 0; presses <= most; presses += 1) {
    const now = await focused(page);
    if (now.id === id) {
      assert.ok(now.outline >= 2, `nobody can see that ${id} has the focus`);
      return;
    }
    await page.keyboard.press("Tab");
  }
  assert.fail(`${most} times Tab do not lead to ${id}`);
}

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
  await tabTo(page, "logout");
  await page.keyboard.press("Enter");
  await page.locator("#confirm-logout").waitFor();
  await tabTo(page, "confirm-logout");
  await page.keyboard.press("Enter");
  await page.locator("#signed-out").waitFor();
});
