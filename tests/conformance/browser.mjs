// An app and a person at a Chromium, step by step as `chromium.rs` plans it; what came of each step is printed as JSON, and
// judged there.

import { createHash, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";

const plan = JSON.parse(process.env.CONFORMANCE_PLAN);
const { chromium } = createRequire(`${plan.packages}/package.json`)("playwright-core");

const PATIENCE = 30_000;
const MOST_PAGES = 10;
const app = `http://localhost:${plan.port}`;

/** What the app was sent since somebody last looked. */
let arrivals = [];

const escaped = (text) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
const page = (content) => `<!doctype html><meta charset=utf-8><title>App</title>${content}`;

/** A page of the app whose script posts a form to claviger. */
function posting(action, fields) {
  const inputs = Object.entries(fields).map(
    ([name, value]) => `<input type=hidden name="${escaped(name)}" value="${escaped(value)}">`,
  );
  return page(`<form method=post action="${escaped(action)}">${inputs.join("")}</form>
    <script>document.forms[0].submit()</script>`);
}

/** The form that the next visit of `/post` shows. */
let form;

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

const server = createServer(async (request, response) => {
  const { pathname, search } = new URL(request.url, app);
  response.setHeader("content-type", "text/html; charset=utf-8");
  if (pathname === "/post") return response.end(posting(form.action, form.fields));
  if (!["/callback", "/signed-out"].includes(pathname)) return response.writeHead(204).end();
  const { method, headers } = request;
  arrivals.push({
    method,
    path: pathname,
    query: search.slice(1),
    contentType: headers["content-type"] ?? null,
    body: await bodyOf(request),
  });
  response.end(page("<h1 id=arrived>Back at the app</h1>"));
});
await new Promise((resolve, reject) => server.once("error", reject).listen(plan.port, "127.0.0.1", resolve));

// The one key of claviger's certificate is trusted, and no other.
const certificate = new X509Certificate(await readFile(plan.certificate));
const key = certificate.publicKey.export({ type: "spki", format: "der" });
const pin = createHash("sha256").update(key).digest("base64");
const browser = await chromium.launch({
  executablePath: plan.chromium,
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    `--ignore-certificate-errors-spki-list=${pin}`,
  ],
  timeout: PATIENCE,
});
const context = await browser.newContext({ locale: "en-GB" });
context.setDefaultTimeout(PATIENCE);
const tab = await context.newPage();

/** Answers what claviger asks until the browser is at the app, or at a page that asks nothing. */
async function settle() {
  const asked = [];
  for (let pages = 0; pages < MOST_PAGES; pages += 1) {
    const found = tab.locator("#sign-in, #allow, #confirm-logout, #arrived, #signed-out, #error").first();
    await found.waitFor();
    const what = await found.getAttribute("id");
    if (["arrived", "signed-out", "error"].includes(what)) return { asked, what };
    asked.push(what);
    if (what === "sign-in") {
      await tab.locator("#username").fill(plan.username);
      await tab.locator("#password").fill(plan.password);
    }
    await Promise.all([tab.waitForEvent("framenavigated"), found.click()]);
  }
  throw new Error(`${MOST_PAGES} pages and no end: ${asked}`);
}

const steps = {
  /** Opens a URL. */
  async open({ url }) {
    await tab.goto(url);
    return settle();
  },
  /** Has a page of the app post a form. */
  async post({ url, fields }) {
    form = { action: url, fields };
    await tab.goto(`${app}/post`, { waitUntil: "commit" });
    return settle();
  },
  /** Which cookies of claviger's the browser keeps. */
  async cookies() {
    const cookies = await context.cookies(plan.issuer);
    return { cookies: cookies.map(({ name, secure, httpOnly, sameSite }) => ({ name, secure, httpOnly, sameSite })) };
  },
};

// One plan for each line: the app needs what came of a step for the next.
process.stdin.setEncoding("utf8");
let buffered = "";
try {
  for await (const chunk of process.stdin) {
    buffered += chunk;
    for (let end = buffered.indexOf("\n"); end >= 0; end = buffered.indexOf("\n")) {
      const step = JSON.parse(buffered.slice(0, end));
      buffered = buffered.slice(end + 1);
      arrivals = [];
      let result;
      try {
        result = { ...(await steps[step.step](step)), arrivals };
      } catch (error) {
        const text = await tab.locator("body").innerText({ timeout: 1_000 }).catch(() => "no page");
        result = { failed: `${error.message}; the page says: ${text}` };
      }
      process.stdout.write(`${JSON.stringify(result)}\n`);
    }
  }
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
}
