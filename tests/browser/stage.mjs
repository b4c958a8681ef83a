// What every scenario stands on: a Chromium with a new profile, a watch over everything that it complains about, and
// a close look at each page, of which pictures are kept. A scenario fails when it throws, and when anything was noticed.

import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";

import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";

import { Watch } from "./watch.mjs";

const PATIENCE = 30_000;
const WIDTHS = [320, 1280];
const SCHEMES = ["light", "dark"];
const HEIGHT = 800;
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`the environment has no ${name}: run this by \`cargo test --test browser\``);
  return value;
}

/** What the test program tells; credentials come this way and never on the command line. */
export const settings = {
  chromium: required("BROWSER_TEST_CHROMIUM"),
  pictures: required("BROWSER_TEST_PICTURES"),
  issuer: required("BROWSER_TEST_ISSUER"),
  /** The sample app, a confidential client. */
  sampleApp: required("BROWSER_TEST_SAMPLE_APP"),
  sampleClientId: required("BROWSER_TEST_SAMPLE_CLIENT_ID"),
  /** A public client whose redirect URI is registered without a port. */
  publicClientId: required("BROWSER_TEST_PUBLIC_CLIENT_ID"),
  /** A public client with the longest and most hostile names that can be registered. */
  hostileClientId: required("BROWSER_TEST_HOSTILE_CLIENT_ID"),
  hostileName: required("BROWSER_TEST_HOSTILE_NAME"),
  /** The person of this scenario, who has never allowed any app anything. */
  person: {
    username: required("BROWSER_TEST_USERNAME"),
    password: required("BROWSER_TEST_PASSWORD"),
    name: required("BROWSER_TEST_NAME"),
    email: required("BROWSER_TEST_EMAIL"),
  },
};

export class Stage {
  #name;
  #chromium;
  #contexts = [];
  #examined = 0;
  #closers = [];
  watch = new Watch(settings.issuer);

  constructor(name) {
    this.#name = name;
  }

  async open() {
    await rm(this.#folder(), { recursive: true, force: true });
    await mkdir(this.#folder(), { recursive: true });
    this.#chromium = await chromium.launch({
      executablePath: settings.chromium,
      headless: true,
      args: FLAGS,
      // The back button must find what people's browsers would show, their memory of pages included.
      ignoreDefaultArgs: ["--disable-back-forward-cache"],
      timeout: PATIENCE,
    });
  }

  /** A browser of its own: nothing is shared with the others of the scenario. */
  async browser(options = {}) {
    const context = await this.#chromium.newContext({
      viewport: { width: 1280, height: HEIGHT },
      locale: "en-GB",
      ...options,
    });
    context.setDefaultTimeout(PATIENCE);
    this.#contexts.push(context);
    this.watch.context(context);
    return { context, page: await this.tab(context) };
  }

  async tab(context) {
    const page = await context.newPage();
    await this.watch.page(context, page);
    return page;
  }

  /** Something that is to be closed at the end. */
  keep(closable) {
    this.#closers.push(closable);
    return closable;
  }

  say(line) {
    console.log(`${this.#name}: ${line}`);
  }

  /** Looks at the page as people do, narrow and wide, light and dark, and as their assistive technology does. */
  async examine(page, what) {
    this.#examined += 1;
    const number = String(this.#examined).padStart(2, "0");
    for (const scheme of SCHEMES) {
      await page.emulateMedia({ colorScheme: scheme });
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: HEIGHT });
        await page.screenshot({
          path: join(this.#folder(), `${number}-${what}-${width}-${scheme}.png`),
          fullPage: true,
          animations: "disabled",
        });
        const overflow = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        );
        if (overflow > 0) this.watch.notice(`the page "${what}" is ${overflow} px too wide for ${width} px`);
      }
      await this.#assess(page, `${what}, ${scheme}`);
    }
    await page.emulateMedia({ colorScheme: null });
    await page.setViewportSize({ width: 1280, height: HEIGHT });
    const { headings, language, title } = await page.evaluate(() => ({
      headings: document.querySelectorAll("h1").length,
      language: document.documentElement.lang,
      title: document.title,
    }));
    if (headings !== 1) this.watch.notice(`the page "${what}" has ${headings} main headings`);
    if (language !== "en") this.watch.notice(`the page "${what}" is in the language "${language}"`);
    if (!title) this.watch.notice(`the page "${what}" has no title`);
    this.say(`page ${number}, ${what}: "${title}"`);
  }

  async #assess(page, what) {
    const results = await new AxeBuilder({ page }).setLegacyMode(true).analyze();
    for (const violation of results.violations) {
      const where = violation.nodes.map((node) => `${node.html} (${node.failureSummary})`).join("; ");
      this.watch.notice(`axe, on "${what}": ${violation.id}, ${violation.help}: ${where}`);
    }
    if (results.passes.length === 0) this.watch.notice(`axe has looked at nothing on "${what}"`);
  }

  /** Everything that is known about a failure, before the browser is gone. */
  async explain(error) {
    this.say(`FAILED: ${error?.stack ?? error}`);
    let number = 0;
    for (const page of this.#contexts.flatMap((context) => context.pages())) {
      number += 1;
      try {
        this.say(`a tab is at ${withoutQuery(page.url())}: ${await page.locator("body").innerText({ timeout: 5_000 })}`);
        await page.screenshot({ path: join(this.#folder(), `failed-${number}.png`), timeout: 5_000 });
      } catch (closed) {
        this.say(`a tab cannot be looked at: ${closed.message}`);
      }
    }
  }

  async close() {
    await this.#chromium?.close();
    await Promise.all(this.#closers.map((closable) => closable.close()));
  }

  #folder() {
    return join(settings.pictures, this.#name);
  }
}

/** The URL for a log: a query may hold a code. */
export function withoutQuery(url) {
  return url.replace(/\?.*/s, "?…");
}

/** Plays a scenario to its end; the exit code says how it went. */
export async function scenario(name, play) {
  const stage = new Stage(name);
  try {
    await stage.open();
    await play(stage);
    await stage.watch.conclude();
    stage.say("passed");
  } catch (error) {
    process.exitCode = 1;
    await stage.explain(error);
    for (const notice of stage.watch.notices) stage.say(`noticed: ${notice}`);
  } finally {
    await stage.close();
  }
}
