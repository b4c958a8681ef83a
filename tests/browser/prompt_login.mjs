// rule_17: an app that wants a fresh sign-in gets one, or nothing.

import assert from "node:assert/strict";

import { App } from "./app.mjs";
import { allowAgain, atSignIn, cookies, signIn, typeCredentials } from "./person.mjs";
import { scenario, settings } from "./stage.mjs";

const { issuer, person } = settings;

await scenario("prompt-login", async (stage) => {
  const { context, page } = await stage.browser();
  const app = await App.start(stage);
  await signIn(page, app);
  const { session } = await cookies(context);

  for (const wish of [{ prompt: "login", max_age: "3600" }, { max_age: "0" }]) {
    // With the session alone, an ordinary request is answered.
    const ordinary = app.attempt();
    await page.goto(ordinary.url);
    await allowAgain(page);
    await app.claims(page, ordinary);

    const attempt = app.attempt(wish);
    const asked = async (what) => {
      await atSignIn(page);
      assert.ok(page.url().startsWith(issuer), what);
      stage.say(`${JSON.stringify(wish)}: still asked after ${what}`);
    };
    await page.goto(attempt.url);
    await asked("the request");
    await page.reload();
    await asked("a reload");
    await page.evaluate(() => history.back());
    await page.locator("#arrived").waitFor();
    await page.evaluate(() => history.forward());
    await asked("going back and forward");
    await page.goto(attempt.url);
    await asked("opening the request again");

    // An empty form, a wrong password: a sign-in that is broken off is none.
    await typeCredentials(page, { ...person, password: "not-the-password" });
    await page.locator("[role=alert]#error").waitFor();
    await asked("a wrong password");
    await page.goto(`${issuer}/login`);
    await page.goto(attempt.url);
    await asked("a visit to the form's own address");

    // In a second tab an ordinary request is answered; it helps the first tab nothing, nor the other way round.
    const tab = await stage.tab(context);
    const meanwhile = app.attempt();
    await tab.goto(meanwhile.url);
    await allowAgain(tab);
    await app.claims(tab, meanwhile);
    await page.reload();
    await asked("an answer in a second tab");
    await tab.goto(attempt.url);
    await atSignIn(tab);

    // A silent request with the same wish is refused instead.
    if (wish.max_age === "0") {
      const silent = app.attempt({ ...wish, prompt: "none" });
      await tab.goto(silent.url);
      assert.equal((await app.answer(tab, silent)).error, "login_required");
    }
    await tab.close();

    const before = Math.floor(Date.now() / 1000);
    await typeCredentials(page);
    const claims = await app.claims(page, attempt);
    assert.ok(claims.auth_time >= before, `signed in at ${claims.auth_time}, asked to after ${before}`);
    await page.goto(attempt.url);
    await asked("having been answered once");
  }

  // A new sign-in is a new session, and the old one is over.
  const renewed = (await cookies(context)).session;
  assert.notEqual(renewed.value, session.value);
  await context.addCookies([session]);
  const silent = app.attempt({ prompt: "none" });
  await page.goto(silent.url);
  assert.equal((await app.answer(page, silent)).error, "login_required");

  // `prompt=login` with somebody else's name in the field signs in that somebody or nobody, and never the one before.
  await context.addCookies([renewed]);
  const attempt = app.attempt({ prompt: "login" });
  await page.goto(attempt.url);
  await atSignIn(page);
  assert.equal(await page.locator("#username").inputValue(), person.username);
  await stage.examine(page, "sign-in-again");
  await typeCredentials(page, { username: "somebody-else", password: person.password });
  await page.locator("[role=alert]#error").waitFor();
});
