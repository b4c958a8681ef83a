//! A person's visit to an app, with a browser that keeps cookies.

use anyhow::{Context, Result, bail};
use testbed::Browser;
use testbed::browser::form::Form;
use testbed::browser::{Arrival, Page};
use url::Url;

use crate::stage::{Person, Stage};

/// More pages than any visit has; a loop ends here.
const MOST_PAGES: usize = 20;
/// No URL begins so.
const NOWHERE: &str = " ";

/// A person at a browser that has never been anywhere.
pub(crate) struct Visitor<'a> {
    browser: Browser,
    issuer: String,
    person: &'a Person,
}

impl<'a> Visitor<'a> {
    pub(crate) fn new(stage: &'a Stage) -> Result<Self> {
        Ok(Self {
            browser: Browser::trusting(&stage.authority)?,
            issuer: stage.issuer(),
            person: &stage.person,
        })
    }

    /// The browser.
    pub(crate) fn browser(&self) -> &Browser {
        &self.browser
    }

    /// Opens a URL, follows wherever it leads and answers what claviger asks on the way: to sign in, to allow.
    pub(crate) async fn open(&self, url: &Url) -> Result<Page> {
        let page = self.browser.get(url).await?;
        match self.go_on(page, NOWHERE).await? {
            Arrival::Page(page) if page.status.is_success() => Ok(page),
            Arrival::Page(page) => bail!("{} answers {}: {}", page.url, page.status, page.text()),
            Arrival::Callback(url) => bail!("{url} was not to be waited for"),
        }
    }

    /// Opens a URL by which an app signs out, and confirms what claviger asks. An app that then wants somebody to sign in
    /// is not followed there. Gives where that ends.
    pub(crate) async fn leave(&self, url: &Url) -> Result<Url> {
        let page = self.browser.get(url).await?;
        self.finish_leaving(page).await
    }

    /// The same, by the form of a page of the app.
    pub(crate) async fn leave_by_form(&self, url: &Url) -> Result<Url> {
        let page = self.browser.get(url).await?;
        let forms = page.forms();
        let form = forms.first().context("the app has no form to sign out by")?;
        let page = self.browser.submit(&page, form, None).await?;
        self.finish_leaving(page).await
    }

    async fn finish_leaving(&self, page: Page) -> Result<Url> {
        let arrival = self.go_on(page, &format!("{}/authorize", self.issuer)).await?;
        match arrival {
            Arrival::Page(page) if page.status.is_success() => Ok(page.url),
            Arrival::Page(page) => bail!("{} answers {}: {}", page.url, page.status, page.text()),
            Arrival::Callback(url) => Ok(url),
        }
    }

    /// Whether claviger knows who is there: the account page does not ask for a password.
    pub(crate) async fn is_signed_in(&self) -> Result<bool> {
        let account = format!("{}/account", self.issuer).parse()?;
        let page = self.browser.get(&account).await?;
        Ok(match self.browser.follow(page, NOWHERE).await? {
            Arrival::Page(page) => !page.forms().iter().any(Form::asks_for_sign_in),
            Arrival::Callback(_) => false,
        })
    }

    /// Whether the app knows who is there: it shows a page with the person on it, and does not lead to claviger.
    pub(crate) async fn is_known(&self, url: &Url) -> Result<bool> {
        let page = self.browser.get(url).await?;
        Ok(match self.browser.follow(page, &self.issuer).await? {
            Arrival::Page(page) => page.body.contains(&self.person.subject),
            Arrival::Callback(_) => false,
        })
    }

    async fn go_on(&self, mut page: Page, stop: &str) -> Result<Arrival> {
        for _ in 0..MOST_PAGES {
            page = match self.browser.follow(page, stop).await? {
                Arrival::Page(page) => page,
                stopped @ Arrival::Callback(_) => return Ok(stopped),
            };
            let Some((form, button)) = self.answer(&page)? else {
                return Ok(Arrival::Page(page));
            };
            page = self.browser.submit(&page, &form, Some(button)).await?;
        }
        bail!("{MOST_PAGES} pages and no end, last {}", page.url)
    }

    fn answer(&self, page: &Page) -> Result<Option<(Form, &'static str)>> {
        if !page.url.as_str().starts_with(&self.issuer) {
            return Ok(None);
        }
        for mut form in page.forms() {
            if form.asks_for_sign_in() {
                form.fill("username", self.person.username)?;
                form.fill("password", &self.person.password)?;
                return Ok(Some((form, "sign-in")));
            }
            for button in ["allow", "confirm-logout"] {
                if form.has_button(button) {
                    return Ok(Some((form, button)));
                }
            }
        }
        Ok(None)
    }
}
