// rule_43: a person types the code that a device shows, sees what is asked, and allows or denies it.

import assert from "node:assert/strict";

import { atConsent, atSignIn, typeCredentials } from "./person.mjs";
import { scenario, settings } from "./stage.mjs";

const { issuer, person, publicClientId } = settings;
const GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code";

async function post(endpoint, form) {
  const response = await fetch(endpoint, { method: "POST", body: new URLSearchParams(form) });
  return { status: response.status, body: await response.json() };
}

/** A program on a device without a browser. */
class Device {
  static async begin(metadata) {
    const form = { client_id: publicClientId, scope: "openid profile offline_access" };
    const { status, body } = await post(metadata.device_authorization_endpoint, form);
    assert.equal(status, 200, JSON.stringify(body));
    return new Device(metadata, body);
  }

  constructor(metadata, told) {
    this.metadata = metadata;
    this.told = told;
  }

  async poll() {
    const form = { client_id: publicClientId, grant_type: GRANT_TYPE, device_code: this.told.device_code };
    return post(this.metadata.token_endpoint, form);
  }
}

async function atDevice(page) {
  await page.locator("#user-code").waitFor();
  assert.equal(new URL(page.url()).pathname, "/device");
}

await scenario("device", async (stage) => {
  const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
  const device = await Device.begin(metadata);
  assert.equal((await device.poll()).body.error, "authorization_pending");

  // Typed on a phone, with a mistake first.
  const { page } = await stage.browser();
  await page.goto(device.told.verification_uri);
  await atDevice(page);
  await stage.examine(page, "code");
  await page.locator("#user-code").fill("BCDF-GHJK");
  const [wrong] = await Promise.all([
    page.waitForResponse((response) => response.request().method() === "POST"),
    page.locator("#continue").click(),
  ]);
  assert.equal(wrong.status(), 400);
  await page.locator("[role=alert]#error").waitFor();
  await stage.examine(page, "wrong-code");
  await page.locator("#user-code").fill(device.told.user_code.toLowerCase().replace("-", " "));
  await page.locator("#continue").click();
  await atSignIn(page);
  assert.match(await page.locator("main").innerText(), /Native app/);
  await page.reload();
  await atSignIn(page);
  await typeCredentials(page);
  await atConsent(page);
  const text = await page.locator("main").innerText();
  for (const shown of ["Native app", device.told.user_code, person.name, "See your profile", "started this yourself"]) {
    assert.ok(text.includes(shown), `${shown} is not in ${text}`);
  }
  await stage.examine(page, "question");
  await page.locator("#allow").click();
  await page.locator("h1#device-allowed").waitFor();
  await stage.examine(page, "allowed");
  const { status, body } = await device.poll();
  assert.equal(status, 200, JSON.stringify(body));
  assert.ok(body.id_token && body.refresh_token);

  // By the link, whose code is only filled in; asked again although the same was allowed before.
  const second = await Device.begin(metadata);
  await page.goto(second.told.verification_uri_complete);
  await atDevice(page);
  assert.equal(await page.locator("#user-code").inputValue(), second.told.user_code);
  await stage.examine(page, "code-by-link");
  await page.locator("#continue").click();
  await atConsent(page);
  await page.locator("#deny").click();
  await page.locator("h1#device-denied").waitFor();
  await stage.examine(page, "denied");
  assert.equal((await second.poll()).body.error, "access_denied");

  // Without JavaScript, where nothing can be examined.
  const third = await Device.begin(metadata);
  const { page: plain } = await stage.browser({ javaScriptEnabled: false });
  await plain.goto(third.told.verification_uri);
  await plain.locator("#user-code").fill(third.told.user_code);
  await plain.locator("#continue").click();
  await atSignIn(plain);
  await typeCredentials(plain);
  await atConsent(plain);
  await plain.locator("#allow").click();
  await plain.locator("h1#device-allowed").waitFor();
  assert.equal((await third.poll()).status, 200);
});
