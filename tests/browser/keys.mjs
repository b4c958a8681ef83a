// What a person with a keyboard and no mouse does.

import assert from "node:assert/strict";

/** Where the focus is, and how wide its outline. */
export async function focused(page) {
  return page.evaluate(() => {
    const { id, ...element } = { id: document.activeElement.id, element: document.activeElement };
    const style = getComputedStyle(element.element);
    return { id, outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth) };
  });
}

/** Presses Tab until the element has the focus, which the person must be able to see. */
export async function tabTo(page, id, most = 4) {
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
