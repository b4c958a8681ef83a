//! A person's visit to an app, with a browser that keeps cookies.

use anyhow::{Result, bail};
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

    /// Opens a URL, follows wherever it leads and answers what claviger asks on the way: to sign in, to allow, to sign out.
    pub(crate) async fn open(&self, url: &Url) -> Result<Page> {
        let mut page = self.browser.get(url).await?;
        for _ in 0..MOST_PAGES {
            page = match self.browser.follow(page, NOWHERE).await? {
                Arrival::Page(page) => page,
                Arrival::Callback(url) => bail!("{url} was not to be waited for"),
            };
            let Some((form, button)) = self.answer(&page)? else {
                return Ok(page);
            };
            page = self.browser.submit(&page, &form, Some(button)).await?;
        }
        bail!("{MOST_PAGES} pages and no end, last {}", page.url)
    }

    /// Opens a URL of an app, and whatever the app leads to but claviger.
    pub(crate) async fn look(&self, url: &Url) -> Result<Arrival> {
        let page = self.browser.get(url).await?;
        self.browser.follow(page, &self.issuer).await
    }

    /// Whether the app knows who is there: it shows a page with the person on it.
    pub(crate) async fn is_known(&self, url: &Url) -> Result<bool> {
        Ok(match self.look(url).await? {
            Arrival::Page(page) => page.body.contains(self.person.email),
            Arrival::Callback(_) => false,
        })
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
