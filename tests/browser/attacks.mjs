// What a stranger tries with pages of ours: another browser's form, a form of their own, a frame around a page.

import assert from "node:assert/strict";

import { App, listen } from "./app.mjs";
import { allowAgain, atConsent, atError, atSignIn, cookies, signIn, typeCredentials } from "./person.mjs";
import { scenario, settings } from "./stage.mjs";

const { issuer, person } = settings;

const hidden = (page) =>
  page
    .locator("form input[type=hidden]")
    .evaluateAll((fields) => Object.fromEntries(fields.map((field) => [field.name, field.value])));

/** Puts values into the hidden fields of the form that a page shows. */
const put = (page, values) =>
  page.locator("form").evaluate((form, values) => {
    for (const [name, value] of Object.entries(values)) form.elements[name].value = value;
  }, values);

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");

const form = (action, values) => {
  const fields = Object.entries(values).map(([name, value]) => `<input type=hidden name="${name}" value="${escaped(value)}">`);
  return `<!doctype html><title>Win</title><form method=post action="${escaped(action)}">${fields.join("")}<button>Win</button></form>`;
};

/** Another site: `localhost` is not the site of 127.0.0.1. */
async function strangersSite(stage) {
  let body = "";
  const server = await listen((request, response) => {
    response.writeHead(request.url === "/" ? 200 : 204, { "content-type": "text/html; charset=utf-8" });
    response.end(request.url === "/" ? body : undefined);
  });
  stage.keep({ close: () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))) });
  return {
    url: `http://localhost:${server.address().port}/`,
    show(page) {
      body = page;
    },
  };
}

await scenario("attacks", async (stage) => {
  const app = await App.start(stage);
  const stranger = await stage.browser();
  const victim = await stage.browser();

  // rule_22: whoever begins a sign-in and has somebody else finish it, by a leaked link or form, gets nowhere.
  await stranger.page.goto(app.attempt().url);
  await atSignIn(stranger.page);
  const leaked = await hidden(stranger.page);
  assert.deepEqual(Object.keys(leaked).sort(), ["csrf_token", "interaction"]);
  await victim.page.goto(`${issuer}/login?${new URLSearchParams(leaked)}`);
  await atError(victim.page);
  for (const stolen of [{ interaction: leaked.interaction }, leaked, { csrf_token: leaked.csrf_token }]) {
    await victim.page.goto(app.attempt().url);
    await atSignIn(victim.page);
    await put(victim.page, stolen);
    await typeCredentials(victim.page);
    await atError(victim.page);
    assert.equal((await cookies(victim.context)).session, undefined, "a form of another browser was accepted");
  }
  await stage.examine(victim.page, "another-browsers-form");

  // The same with a question that waits for its answer: the link to it is worth nothing in another browser.
  const attempt = app.attempt();
  await stranger.page.goto(attempt.url);
  await atSignIn(stranger.page);
  await typeCredentials(stranger.page);
  await atConsent(stranger.page);
  await victim.page.goto(stranger.page.url());
  assert.equal(await victim.page.locator("#allow").count(), 0, "another browser is asked");
  const body = await victim.page.locator("body").innerText();
  assert.ok(!body.includes(person.name), "another browser learns who is signed in");
  assert.equal((await cookies(victim.context)).session, undefined);
  await stage.examine(victim.page, "another-browsers-question");

  // rule_64: a form on another site signs nobody in, allows nothing and signs nobody out.
  await signIn(victim.page, app, { scope: "openid" });
  const { session } = await cookies(victim.context);
  await victim.page.goto(app.attempt({ scope: "openid email" }).url);
  await atConsent(victim.page);
  const question = await hidden(victim.page);
  await victim.page.goto(`${issuer}/logout`);
  const token = await hidden(victim.page);
  const twice = { new_password: "a stranger's password", repeated_password: "a stranger's password" };
  const site = await strangersSite(stage);
  for (const [path, values] of [
    ["/login", { ...leaked, username: person.username, password: person.password }],
    ["/consent", { ...question, answer: "allow" }],
    ["/logout/confirm", token],
    ["/account/end-other-sessions", token],
    ["/account/end-app", { ...token, client_id: settings.publicClientId }],
    ["/account/password", { ...token, current_password: person.password, ...twice }],
  ]) {
    site.show(form(`${issuer}${path}`, values));
    await victim.page.goto(site.url);
    await victim.page.locator("button").click();
    await atError(victim.page);
    assert.equal((await cookies(victim.context)).session?.value, session.value, path);
    stage.say(`another site's form to ${path} is refused`);
  }
  await stage.examine(victim.page, "another-sites-form");
  await victim.page.goto(`${issuer}/`);
  assert.ok((await victim.page.locator("main").innerText()).includes(person.name), "another site has signed out");
  const silent = app.attempt({ prompt: "none", scope: "openid email" });
  await victim.page.goto(silent.url);
  assert.equal((await app.answer(victim.page, silent)).error, "consent_required");

  // An authorization request by POST from another site is an ordinary one: the session counts, by way of a GET.
  const posted = app.attempt({ scope: "openid" });
  const url = new URL(posted.url);
  site.show(form(`${issuer}${url.pathname}`, Object.fromEntries(url.searchParams)));
  await victim.page.goto(site.url);
  await victim.page.locator("button").click();
  await allowAgain(victim.page);
  await app.claims(victim.page, posted);

  // rule_76: nobody puts a page of ours into a frame.
  stage.watch.expect(/frame/i);
  const framed = app.attempt({ prompt: "login" });
  site.show(`<!doctype html><title>Win</title><iframe title=Win src="${escaped(framed.url)}"></iframe>`);
  await victim.page.goto(site.url);
  await victim.page.waitForLoadState();
  const frame = victim.page.frames().find((frame) => frame !== victim.page.mainFrame());
  assert.equal(await frame.locator("#password").count(), 0, "a page of ours is in a frame");
});
