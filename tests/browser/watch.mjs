// Notices what a browser complains about and what an answer of claviger lacks, on every page of every scenario.

const REFUSED_DOCUMENT = /^Failed to load resource: the server responded with a status of 4\d\d/;

/** Issues that say nothing against a page; a scenario that reads `document.cookie` is remarked on as slow. */
const HARMLESS_ISSUES = new Set(["CookieDeprecationMetadataIssue", "PerformanceIssue"]);

export class Watch {
  #issuer;
  #expected = [];
  notices = [];

  constructor(issuer) {
    this.#issuer = new URL(issuer).origin;
  }

  notice(text) {
    this.notices.push(text);
  }

  /** The scenario provokes a complaint: it must come, and does not count. */
  expect(pattern) {
    this.#expected.push({ pattern, seen: false });
  }

  context(context) {
    context.on("console", (message) => this.#console(message));
    context.on("weberror", (error) => this.#complaint(`an uncaught error: ${error.error()}`));
    context.on("request", (request) => this.#request(request));
    context.on("response", (response) => this.#response(response));
  }

  /** The developer tools' issues: blocked content, cookies that are refused, forms that cannot be filled in. */
  async page(context, page) {
    const session = await context.newCDPSession(page);
    session.on("Audits.issueAdded", ({ issue }) => {
      if (!HARMLESS_ISSUES.has(issue.code)) this.#complaint(`${issue.code}: ${JSON.stringify(issue.details)}`);
    });
    await session.send("Audits.enable");
  }

  #complaint(text) {
    const expected = this.#expected.find(({ pattern }) => pattern.test(text));
    if (expected) expected.seen = true;
    else this.notice(text);
  }

  #console(message) {
    if (!["error", "warning"].includes(message.type())) return;
    // A page that says no has such a status, and the browser remarks on it; a missing part of a page is noticed below.
    if (REFUSED_DOCUMENT.test(message.text())) return;
    this.#complaint(`console ${message.type()}: ${message.text()}`);
  }

  #request(request) {
    const url = new URL(request.url());
    if (!["127.0.0.1", "localhost"].includes(url.hostname)) {
      this.#complaint(`a request to somebody else: ${url.origin}`);
    }
  }

  #response(response) {
    const request = response.request();
    const url = new URL(response.url());
    if (url.origin !== this.#issuer) return;
    const where = `${request.method()} ${url.pathname}`;
    if (!request.isNavigationRequest()) {
      this.#complaint(`a page of claviger has loaded something: ${where}`);
      return;
    }
    const lacks = response.status() >= 300 && response.status() < 400 ? redirectLacks(response) : pageLacks(response);
    for (const lack of lacks) this.#complaint(`${where}, status ${response.status()}: ${lack}`);
  }

  /** Fails if anything was noticed, or if an expected complaint has not come. */
  async conclude() {
    for (const { pattern, seen } of this.#expected) {
      if (!seen) this.notice(`nobody has complained about ${pattern}`);
    }
    if (this.notices.length > 0) throw new Error(`${this.notices.length} things were noticed`);
  }
}

/** RFC 9700 sections 4.12 and 4.2.4: never 307, and no referrer for whoever comes next. */
function* redirectLacks(response) {
  const headers = response.headers();
  if (response.status() !== 303) yield "a redirect of the browser is not 303";
  if (headers["referrer-policy"] !== "no-referrer") yield "a redirect without `Referrer-Policy: no-referrer`";
  if (headers["cache-control"] !== "no-store") yield "a redirect without `Cache-Control: no-store`";
}

/** RFC 9700 section 4.16: nobody frames a page, and nothing runs on it that is not of it. */
function* pageLacks(response) {
  const headers = response.headers();
  const policy = headers["content-security-policy"] ?? "";
  for (const directive of ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"]) {
    if (!policy.split("; ").includes(directive)) yield `the Content Security Policy has no ${directive}`;
  }
  // The page that posts a response to an app runs one script, which submits it.
  const submits = /(^|; )script-src 'nonce-[\w+/=]+'(;|$)/.test(policy);
  const rest = policy.replace(/script-src 'nonce-[\w+/=]+'/, "");
  if (/unsafe-|script-src|\*/.test(rest)) yield `the Content Security Policy is open: ${policy}`;
  if (!/form-action [^;]+/.test(policy)) yield "the Content Security Policy has no form-action";
  for (const [name, value] of [
    ["x-frame-options", "DENY"],
    ["x-content-type-options", "nosniff"],
    ["cache-control", "no-store"],
  ]) {
    if (headers[name] !== value) yield `no \`${name}: ${value}\``;
  }
  const hasForm = !policy.includes("form-action 'none'");
  const expected = submits ? "strict-origin" : hasForm ? "same-origin" : "no-referrer";
  if (headers["referrer-policy"] !== expected) yield `Referrer-Policy is not ${expected}`;
}
