//! A person at a browser, sent to claviger by an app: what they are shown, and what the app is answered.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use testbed::browser::form::Form;
use testbed::browser::{Arrival, Browser, Page};
use testbed::random;
use url::Url;

use crate::clients::{App, CALLBACK, Person};
use crate::stage::Stage;
use crate::wire::same;

/// More pages than any visit has; a loop ends here.
const MOST_PAGES: usize = 20;

/// An authorization request.
#[derive(Clone)]
pub(crate) struct Request {
    parameters: Vec<(String, String)>,
}

impl Request {
    /// What the profile Basic asks with: a code, `state` and `nonce`, and no PKCE.
    pub(crate) fn new(app: &App) -> Result<Self> {
        let state = random::token()?;
        let nonce = random::token()?;
        let parameters = [
            ("response_type", "code"),
            ("client_id", &app.client_id),
            ("redirect_uri", CALLBACK),
            ("scope", "openid"),
            ("state", &state),
            ("nonce", &nonce),
        ];
        Ok(Self {
            parameters: parameters
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        })
    }

    /// With this value of the parameter and no other.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    /// With the parameter once more.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without the parameter.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.parameters.retain(|(known, _)| known != name);
        self
    }

    /// The value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// All of them.
    pub(crate) fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    /// Where the browser is sent.
    pub(crate) fn url(&self, stage: &Stage) -> Result<Url> {
        let mut url: Url = stage.endpoint("authorization_endpoint")?.parse()?;
        url.query_pairs_mut().extend_pairs(&self.parameters);
        Ok(url)
    }
}

/// What the app is answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The redirect URI, as far as it is not of the answer.
    pub(crate) target: String,
    /// What is answered, each once.
    pub(crate) parameters: BTreeMap<String, String>,
    /// The page, where the answer is a form on one.
    pub(crate) page: Option<Page>,
}

impl Answer {
    /// A parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The code of a success.
    pub(crate) fn code(&self) -> Result<&str> {
        self.get("code")
            .with_context(|| format!("the app is not answered with a code but {:?}", self.parameters))
    }

    /// That the app is told this error, and whose answer it is, and gets nothing.
    pub(crate) fn is_error(&self, request: &Request, error: &str) -> Result<()> {
        same("the error", self.get("error"), Some(error))?;
        same("the state", self.get("state"), request.get("state"))?;
        anyhow::ensure!(self.get("code").is_none(), "an error comes with a code");
        Ok(())
    }

    fn in_query(location: &Url) -> Result<Self> {
        anyhow::ensure!(
            location.fragment().is_none(),
            "the answer has a fragment: {location}"
        );
        let (base, query) = location.as_str().split_once('?').context("an empty answer")?;
        Ok(Self {
            target: base.to_owned(),
            parameters: once_each(url::form_urlencoded::parse(query.as_bytes()).into_owned())?,
            page: None,
        })
    }

    fn in_form(page: &Page, form: &Form) -> Result<Self> {
        same("the method of the form", form.method.as_str(), "post")?;
        Ok(Self {
            target: form.action.clone(),
            parameters: once_each(form.submission(None)?)?,
            page: Some(page.clone()),
        })
    }
}

fn once_each(pairs: impl IntoIterator<Item = (String, String)>) -> Result<BTreeMap<String, String>> {
    let mut parameters = BTreeMap::new();
    for (name, value) in pairs {
        if parameters.insert(name.clone(), value).is_some() {
            bail!("the answer has {name} twice");
        }
    }
    Ok(parameters)
}

/// What comes of a request, once redirects were followed.
#[derive(Debug)]
pub(crate) enum Shown {
    /// The way to sign in.
    SignIn(Page, Form),
    /// The question which account goes on.
    SelectAccount(Page),
    /// The question whether the app may.
    Consent(Page, Form),
    /// The question whether to sign out.
    SignOut(Page, Form),
    /// That nobody is signed in any more.
    SignedOut(Page),
    /// Some other page.
    Page(Page),
    /// Nothing: the app is answered.
    Answer(Answer),
    /// Nothing: the browser is sent to where an app wants it after a sign-out.
    Away(Url),
}

impl Shown {
    /// The answer to the app, before which nobody was asked anything.
    pub(crate) fn answer(self) -> Result<Answer> {
        match self {
            Self::Answer(answer) => Ok(answer),
            other => bail!("the app is not answered at once: {other}"),
        }
    }

    /// The page to sign in.
    pub(crate) fn sign_in(self) -> Result<(Page, Form)> {
        match self {
            Self::SignIn(page, form) => Ok((page, form)),
            other => bail!("nobody is asked to sign in: {other}"),
        }
    }

    /// The page that asks for consent.
    pub(crate) fn consent(self) -> Result<(Page, Form)> {
        match self {
            Self::Consent(page, form) => Ok((page, form)),
            other => bail!("nobody is asked for consent: {other}"),
        }
    }

    /// The page that asks whether to sign out.
    pub(crate) fn sign_out(self) -> Result<(Page, Form)> {
        match self {
            Self::SignOut(page, form) => Ok((page, form)),
            other => bail!("nobody is asked whether to sign out: {other}"),
        }
    }

    /// That this is the page that says that nobody is signed in.
    pub(crate) fn signed_out(self) -> Result<()> {
        match self {
            Self::SignedOut(_) => Ok(()),
            other => bail!("nobody is told that they are signed out: {other}"),
        }
    }

    /// Where the browser is sent after a sign-out.
    pub(crate) fn away(self) -> Result<Url> {
        match self {
            Self::Away(url) => Ok(url),
            other => bail!("the browser is not sent to the app: {other}"),
        }
    }

    /// That this is a page about an error, for the person and not for the app.
    pub(crate) fn error_page(self) -> Result<()> {
        match self {
            Self::Page(page) => {
                same("the status of the error page", page.status.as_u16(), 400)?;
                anyhow::ensure!(
                    page.body.contains("id=\"error\""),
                    "it says no error: {}",
                    page.text()
                );
                anyhow::ensure!(page.forms().is_empty(), "an error page leads on by a form");
                Ok(())
            }
            other => bail!("the person is shown no error: {other}"),
        }
    }
}

impl std::fmt::Display for Shown {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, page) = match self {
            Self::SignIn(page, _) => ("sign-in", page),
            Self::SelectAccount(page) => ("choice of an account", page),
            Self::Consent(page, _) => ("consent", page),
            Self::SignOut(page, _) => ("sign-out", page),
            Self::SignedOut(page) => ("signed out", page),
            Self::Page(page) => ("page", page),
            Self::Answer(answer) => return write!(formatter, "answer to the app: {:?}", answer.parameters),
            Self::Away(url) => return write!(formatter, "sent to {url}"),
        };
        write!(formatter, "{what} ({}): {}", page.status, page.text())
    }
}

/// A person at a browser of their own.
pub(crate) struct Visitor {
    pub(crate) stage: &'static Stage,
    pub(crate) browser: Browser,
    pub(crate) person: &'static Person,
}

impl Visitor {
    /// Ada, at a browser that has never been anywhere.
    pub(crate) fn ada(stage: &'static Stage) -> Result<Self> {
        Self::new(stage, &stage.people.ada)
    }

    /// Grace.
    pub(crate) fn grace(stage: &'static Stage) -> Result<Self> {
        Self::new(stage, &stage.people.grace)
    }

    fn new(stage: &'static Stage, person: &'static Person) -> Result<Self> {
        Ok(Self {
            stage,
            browser: stage.browser()?,
            person,
        })
    }

    /// Opens an authorization request and answers nothing.
    pub(crate) async fn open(&self, request: &Request) -> Result<Shown> {
        let page = self.browser.get(&request.url(self.stage)?).await?;
        self.show(page).await
    }

    /// Opens any URL and answers nothing.
    pub(crate) async fn open_url(&self, url: &Url) -> Result<Shown> {
        let page = self.browser.get(url).await?;
        self.show(page).await
    }

    /// Follows a page to where somebody is asked, told, or sent away.
    pub(crate) async fn show(&self, page: Page) -> Result<Shown> {
        let page = match self.browser.follow(page, "https://rp.example.org/").await? {
            Arrival::Callback(url) if url.as_str().starts_with(CALLBACK) => {
                return Ok(Shown::Answer(Answer::in_query(&url)?));
            }
            Arrival::Callback(url) => return Ok(Shown::Away(url)),
            Arrival::Page(page) => page,
        };
        for form in page.forms() {
            if form.asks_for_sign_in() {
                return Ok(Shown::SignIn(page, form));
            }
            if form.has_button("allow") {
                return Ok(Shown::Consent(page, form));
            }
            if form.has_button("confirm-logout") {
                return Ok(Shown::SignOut(page, form));
            }
            if form.action.starts_with(CALLBACK) {
                return Ok(Shown::Answer(Answer::in_form(&page, &form)?));
            }
            if form.action.ends_with("/select-account") {
                return Ok(Shown::SelectAccount(page));
            }
        }
        if page.body.contains("id=\"signed-out\"") {
            return Ok(Shown::SignedOut(page));
        }
        Ok(Shown::Page(page))
    }

    /// Types the password.
    pub(crate) async fn type_password(&self, page: &Page, mut form: Form) -> Result<Shown> {
        form.fill("username", self.person.username)?;
        form.fill("password", &self.person.password)?;
        let page = self.browser.submit(page, &form, Some("sign-in")).await?;
        self.show(page).await
    }

    /// Presses a button.
    pub(crate) async fn press(&self, page: &Page, form: &Form, button: &str) -> Result<Shown> {
        let page = self.browser.submit(page, form, Some(button)).await?;
        self.show(page).await
    }

    /// Answers whatever is asked, until the app is answered.
    pub(crate) async fn go_on(&self, mut shown: Shown) -> Result<Answer> {
        for _ in 0..MOST_PAGES {
            shown = match shown {
                Shown::Answer(answer) => return Ok(answer),
                Shown::SignIn(page, form) => self.type_password(&page, form).await?,
                Shown::Consent(page, form) => self.press(&page, &form, "allow").await?,
                other => bail!("the person cannot go on: {other}"),
            };
        }
        bail!("{MOST_PAGES} pages and no answer to the app, last {shown}")
    }

    /// Opens a request and answers whatever is asked.
    pub(crate) async fn answer(&self, request: &Request) -> Result<Answer> {
        let shown = self.open(request).await?;
        self.go_on(shown).await
    }

    /// Whether claviger knows who is there, as an app finds out: the app has to have been allowed before.
    pub(crate) async fn is_signed_in(&self, app: &App) -> Result<bool> {
        let request = Request::new(app)?.with("prompt", "none");
        let answer = self.open(&request).await?.answer()?;
        if answer.get("code").is_some() {
            return Ok(true);
        }
        answer.is_error(&request, "login_required")?;
        Ok(false)
    }

    /// That the session is over.
    pub(crate) async fn is_signed_out(&self, app: &App) -> Result<()> {
        anyhow::ensure!(!self.is_signed_in(app).await?, "the session goes on");
        Ok(())
    }

    /// That the session goes on.
    pub(crate) async fn stays_signed_in(&self, app: &App) -> Result<()> {
        anyhow::ensure!(self.is_signed_in(app).await?, "the session has ended");
        Ok(())
    }
}
