//! A person with a browser, without the browser: cookies, redirects followed one by one, forms filled in and submitted.
//! What needs scripts, looks or real security headers is for Chromium.

pub mod form;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use reqwest::header::{HeaderMap, LOCATION, ORIGIN};
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, StatusCode};
use url::Url;

use crate::browser::form::Form;

/// More pages than any sign-in has; a loop ends here.
const MOST_PAGES: usize = 20;

/// A browser with its own cookies.
#[derive(Clone)]
pub struct Browser {
    http: Client,
}

/// What the server answered.
#[derive(Clone, Debug)]
pub struct Page {
    /// The URL it came from.
    pub url: Url,
    /// The HTTP status.
    pub status: StatusCode,
    /// The response's header.
    pub headers: HeaderMap,
    /// The document.
    pub body: String,
}

impl Page {
    /// Where a redirect leads.
    pub fn location(&self) -> Option<Url> {
        let location = self.headers.get(LOCATION)?.to_str().ok()?;
        self.url
            .join(location)
            .ok()
            .filter(|_| self.status.is_redirection())
    }

    /// The forms of the document.
    pub fn forms(&self) -> Vec<Form> {
        form::forms(&self.body)
    }

    /// The text of the document, for a message about an unexpected page.
    pub fn text(&self) -> String {
        form::text(&self.body)
    }
}

impl Browser {
    /// A browser that has never been anywhere, in a network of its own: what happens in one (a claviger that is killed while
    /// it checks a password, a wrong password) counts for no other.
    pub fn new() -> Result<Self> {
        Self::at(Self::own_address())
    }

    /// The same, and trusts this certificate in PEM and no other.
    pub fn trusting(authority: &str) -> Result<Self> {
        let authority = Certificate::from_pem(authority.as_bytes()).context("not a certificate in PEM")?;
        Self::build(
            Client::builder().tls_certs_only([authority]),
            Some(Self::own_address()),
        )
    }

    /// The same, at an address of this machine.
    pub fn at(address: IpAddr) -> Result<Self> {
        Self::build(Client::builder(), Some(address))
    }

    /// The same, at no address of its own: it reaches other machines too, which those at 127.0.0.0/8 do not.
    pub fn unbound() -> Result<Self> {
        Self::build(Client::builder(), None)
    }

    fn own_address() -> IpAddr {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        // From 127.64.0.0 on, so that nobody meets an address that a test has chosen.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed) % 0x0040_0000;
        Ipv4Addr::from(0x7f40_0000 + number).into()
    }

    fn build(builder: ClientBuilder, address: Option<IpAddr>) -> Result<Self> {
        let http = builder
            .local_address(address)
            .cookie_store(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .context("failed to build an HTTP client")?;
        Ok(Self { http })
    }

    /// Opens a URL and follows nothing.
    pub async fn get(&self, url: &Url) -> Result<Page> {
        self.send(self.http.get(url.clone())).await
    }

    /// Submits a form of a page by a button, and follows nothing.
    pub async fn submit(&self, page: &Page, form: &Form, button: Option<&str>) -> Result<Page> {
        let action = page
            .url
            .join(&form.action)
            .context("a form's action is not a URL")?;
        let fields = form.submission(button)?;
        if form.method != "post" {
            let mut url = action;
            url.query_pairs_mut().clear().extend_pairs(&fields);
            return self.get(&url).await;
        }
        let request = self
            .http
            .post(action.clone())
            .header(ORIGIN, page.url.origin().ascii_serialization())
            .header(
                "Sec-Fetch-Site",
                if action.origin() == page.url.origin() {
                    "same-origin"
                } else {
                    "cross-site"
                },
            )
            .form(&fields);
        self.send(request).await
    }

    /// Posts a form that is on no page of the server's but on one of this origin, and follows nothing. Cookies are sent along,
    /// which is more than a real browser does.
    pub async fn post_from(&self, origin: &str, url: &Url, fields: &[(String, String)]) -> Result<Page> {
        let request = self
            .http
            .post(url.clone())
            .header(ORIGIN, origin)
            .header("Sec-Fetch-Site", "cross-site")
            .form(fields);
        self.send(request).await
    }

    /// Follows redirects until there is a page to look at, or until one leads to `stop`.
    pub async fn follow(&self, mut page: Page, stop: &str) -> Result<Arrival> {
        for _ in 0..MOST_PAGES {
            let Some(location) = page.location() else {
                return Ok(Arrival::Page(page));
            };
            if location.as_str().starts_with(stop) {
                return Ok(Arrival::Callback(location));
            }
            page = self.get(&location).await?;
        }
        bail!("redirected in circles, last to {}", page.url)
    }

    /// Goes the whole way from an authorization request to the app's redirect URI: signs in and allows what is asked.
    pub async fn sign_in(
        &self,
        request: &Url,
        redirect_uri: &str,
        username: &str,
        password: &str,
    ) -> Result<Url> {
        let mut page = self.get(request).await?;
        let mut tried = false;
        for _ in 0..MOST_PAGES {
            page = match self.follow(page, redirect_uri).await? {
                Arrival::Callback(url) => return Ok(url),
                Arrival::Page(page) => page,
            };
            let Some(mut form) = page
                .forms()
                .into_iter()
                .find(|form| form.asks_for_sign_in() || form.has_button("allow"))
            else {
                bail!(
                    "{} answered {} with neither sign-in nor consent: {}",
                    page.url,
                    page.status,
                    page.text()
                );
            };
            if form.asks_for_sign_in() {
                anyhow::ensure!(!tried, "{username} could not sign in: {}", page.text());
                tried = true;
                form.fill("username", username)?;
                form.fill("password", password)?;
                page = self.submit(&page, &form, Some("sign-in")).await?;
            } else {
                page = self.submit(&page, &form, Some("allow")).await?;
            }
        }
        bail!("{MOST_PAGES} pages and no way back to {redirect_uri}")
    }

    async fn send(&self, request: RequestBuilder) -> Result<Page> {
        let answer = request.send().await.context("failed to load a page")?;
        let (url, status, headers) = (answer.url().clone(), answer.status(), answer.headers().clone());
        let body = answer
            .text()
            .await
            .with_context(|| format!("failed to read {url}"))?;
        Ok(Page {
            url,
            status,
            headers,
            body,
        })
    }
}

/// Where following redirects ended.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// At a page.
    Page(Page),
    /// At the URL that was waited for, which was not opened.
    Callback(Url),
}
