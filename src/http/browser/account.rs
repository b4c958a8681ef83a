//! `/account`: where a person is signed in, which apps hold something of theirs, and the ends of both.

use std::borrow::Cow;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::consent::all_in_plain_words;
use super::page::{FormAction, page, redirect, who};
use super::posted::Posted;
use super::visit::Visit;
use super::{error_page, sign_in};
use crate::clock::Timestamp;
use crate::oidc::parameters::Parameters;
use crate::provider::Provider;
use crate::provider::account::{AccountPage, AccountView, AppView, Done, Ending, SessionView};

/// Where the page is.
pub(super) const PATH: &str = "/account";

/// The parameter by which a redirect says, sealed, what was done.
const DONE: &str = "done";

#[derive(Template)]
#[template(path = "account.html")]
struct AccountTemplate<'a> {
    base: &'a str,
    message: Option<&'static str>,
    who: String,
    email: Option<&'a str>,
    password_set_at: Option<When>,
    sessions: Vec<SessionEntry<'a>>,
    apps: Vec<AppEntry<'a>>,
    csrf_token: &'a str,
}

struct SessionEntry<'a> {
    handle: &'a str,
    here: bool,
    began: When,
    used: String,
    apps: String,
}

struct AppEntry<'a> {
    client_id: &'a str,
    name: &'a str,
    allowed: Vec<Cow<'static, str>>,
    signed_in_at: Option<When>,
    offline: bool,
    available: bool,
}

/// An instant for machines and for people. No script tells us their time zone.
struct When {
    machine: String,
    text: String,
}

impl When {
    fn new(at: Timestamp) -> Self {
        Self {
            machine: at.strftime("%Y-%m-%dT%H:%MZ").to_string(),
            text: at.strftime("%-d %B %Y at %H:%M UTC").to_string(),
        }
    }
}

/// The account, or the sign-in form where nobody is signed in.
pub(super) async fn get(
    State(provider): State<Provider>,
    visit: Visit,
    RawQuery(query): RawQuery,
) -> Response {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let done = parameters.single(DONE).unwrap_or_default();
    let done = done.and_then(|sealed| provider.open_done(&visit.browser, sealed));
    match provider.account_page(&visit.browser).await {
        Ok(AccountPage::SignIn(form)) => sign_in::form(&provider, &visit, &form),
        Ok(AccountPage::Show(view)) => show(&provider, &visit, &view, done),
        Err(error) => error_page::of(&provider, &visit, &error),
    }
}

/// Ends one session.
pub(super) async fn end_session(State(provider): State<Provider>, posted: Posted) -> Response {
    let handle = posted.fields.single("session").unwrap_or_default();
    let ending = Ending::Session(handle.unwrap_or_default());
    end(&provider, &posted.visit, ending, Done::Session).await
}

/// Ends every session but this one.
pub(super) async fn end_other_sessions(State(provider): State<Provider>, posted: Posted) -> Response {
    end(
        &provider,
        &posted.visit,
        Ending::OtherSessions,
        Done::OtherSessions,
    )
    .await
}

/// Ends what one app holds.
pub(super) async fn end_app(State(provider): State<Provider>, posted: Posted) -> Response {
    let client_id = posted.fields.single("client_id").unwrap_or_default();
    let ending = Ending::App(client_id.unwrap_or_default());
    end(&provider, &posted.visit, ending, Done::App).await
}

async fn end(provider: &Provider, visit: &Visit, ending: Ending<'_>, done: Done) -> Response {
    match provider.end(&visit.browser, ending).await {
        Ok(true) => back(provider, visit, done),
        Ok(false) => to_account(provider),
        Err(error) => error_page::of(provider, visit, &error),
    }
}

/// To the account page, which then says what was done.
pub(super) fn back(provider: &Provider, visit: &Visit, done: Done) -> Response {
    match provider.seal_done(&visit.browser, done) {
        Ok(sealed) => {
            let issuer = provider.issuer();
            redirect(issuer, &format!("{}{PATH}?{DONE}={sealed}", issuer.path()))
        }
        Err(error) => error_page::of(provider, visit, &error),
    }
}

/// To the account page, which asks whoever is not signed in to sign in.
pub(super) fn to_account(provider: &Provider) -> Response {
    let issuer = provider.issuer();
    redirect(issuer, &format!("{}{PATH}", issuer.path()))
}

fn show(provider: &Provider, visit: &Visit, view: &AccountView, done: Option<Done>) -> Response {
    let csrf_token = match provider.csrf_token(&visit.browser) {
        Ok(token) => token,
        Err(error) => return error_page::of(provider, visit, &error),
    };
    let template = AccountTemplate {
        base: provider.issuer().path(),
        message: done.map(said),
        who: who(&view.user),
        email: view.user.email.as_deref(),
        password_set_at: view.password_set_at.map(When::new),
        sessions: view
            .sessions
            .iter()
            .map(|session| session_entry(session, view.at))
            .collect(),
        apps: view.apps.iter().map(app_entry).collect(),
        csrf_token: &csrf_token,
    };
    let mut response = page(provider.issuer(), StatusCode::OK, FormAction::Here, &template);
    visit.remember_browser(provider.issuer(), &mut response);
    response
}

fn said(done: Done) -> &'static str {
    match done {
        Done::Session => "That browser is signed out.",
        Done::OtherSessions => "All other browsers are signed out.",
        Done::App => "That app has no access any more.",
        Done::Password => "Your password is changed. All other browsers are signed out.",
    }
}

fn session_entry(session: &SessionView, now: Timestamp) -> SessionEntry<'_> {
    SessionEntry {
        handle: &session.handle,
        here: session.here,
        began: When::new(session.began_at),
        used: used(session.last_used_at, now),
        apps: session.apps.join(", "),
    }
}

/// Coarse: enough to know which one it is.
fn used(last_used_at: Timestamp, now: Timestamp) -> String {
    match now.duration_since(last_used_at).as_hours() {
        ..=0 => "within the last hour".to_owned(),
        1 => "about an hour ago".to_owned(),
        hours => format!("about {hours} hours ago"),
    }
}

fn app_entry(app: &AppView) -> AppEntry<'_> {
    AppEntry {
        client_id: app.client_id.as_str(),
        name: &app.name,
        allowed: all_in_plain_words(&app.allowed),
        signed_in_at: app.signed_in_at.map(When::new),
        offline: app.offline,
        available: app.available,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::later;

    #[test]
    fn the_last_use_is_said_coarsely() {
        let then = Timestamp::UNIX_EPOCH;
        for (minutes, expected) in [
            (0, "within the last hour"),
            (59, "within the last hour"),
            (60, "about an hour ago"),
            (119, "about an hour ago"),
            (460, "about 7 hours ago"),
        ] {
            assert_eq!(used(then, later(then, Duration::from_mins(minutes))), expected);
        }
        // The clock was set back.
        assert_eq!(
            used(later(then, Duration::from_hours(2)), then),
            "within the last hour"
        );
    }

    #[test]
    fn an_instant_is_said_to_the_minute() {
        let when = When::new(Timestamp::UNIX_EPOCH);
        assert_eq!(when.machine, "1970-01-01T00:00Z");
        assert_eq!(when.text, "1 January 1970 at 00:00 UTC");
    }
}
