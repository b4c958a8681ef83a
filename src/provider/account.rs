//! A person's own account: where they are signed in, which apps hold something of theirs, how they end either, and how
//! they choose another password.

mod password;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::audit::{self, Event};
use super::browser::Browser;
use super::fault::Fault;
use super::interaction::{BrowserError, Errand, Notice, SignInForm};
use super::{INTERACTION_LIFETIME, Provider};
use crate::clock::later;
use crate::oidc::consent::Consent;
use crate::oidc::end_user::EndUser;
use crate::oidc::identifier::ClientId;
use crate::oidc::opaque_token::TokenHash;
use crate::store::records::{GrantRecord, SessionRecord, UserRecord};
use crate::store::{Account, AccountApp};

pub use password::{PasswordAttempt, PasswordNotice, PasswordOutcome};

/// What the account page comes to.
pub enum AccountPage {
    /// Nobody is signed in here.
    SignIn(Box<SignInForm>),
    /// The account.
    Show(Box<AccountView>),
}

/// Everything on the account page.
pub struct AccountView {
    /// Whose it is.
    pub user: EndUser,
    /// When they chose their password, if they did.
    pub password_set_at: Option<Timestamp>,
    /// Where they are signed in: this browser first, then the one used last.
    pub sessions: Vec<SessionView>,
    /// Which apps hold something of theirs, by name.
    pub apps: Vec<AppView>,
    /// When this was so.
    pub at: Timestamp,
}

/// One session.
pub struct SessionView {
    /// Names it in a form; unreadable.
    pub handle: String,
    /// It is this browser's.
    pub here: bool,
    /// When they signed in.
    pub began_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Timestamp,
    /// Names of the apps that are signed in through it.
    pub apps: Vec<String>,
}

/// One app.
pub struct AppView {
    /// Names it in a form.
    pub client_id: ClientId,
    /// Its name.
    pub name: String,
    /// What it may ask for or holds.
    pub allowed: Consent,
    /// When it was given something last, if it still holds that.
    pub signed_in_at: Option<Timestamp>,
    /// It keeps access while the person is away.
    pub offline: bool,
    /// It takes part in sign-in at present.
    pub available: bool,
}

/// What a person ends.
#[derive(Clone, Copy)]
pub enum Ending<'form> {
    /// The session with this [`SessionView::handle`].
    Session(&'form str),
    /// Every session but this browser's.
    OtherSessions,
    /// Everything of the app with this client id.
    App(&'form str),
}

/// What was done, for the page to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// A session ended.
    Session,
    /// All others ended.
    OtherSessions,
    /// An app holds nothing any more.
    App,
    /// There is another password.
    Password,
}

/// The purposes under which values of these forms are sealed.
const SESSION: &str = "browser/account-session";
const DONE: &str = "browser/account-done";

#[derive(Serialize, Deserialize)]
struct SealedDone {
    done: Done,
    at: Timestamp,
    browser: TokenHash,
}

impl Provider {
    /// What to show at the account page.
    pub async fn account_page(&self, browser: &Browser) -> Result<AccountPage, BrowserError> {
        self.require_provisioned().await?;
        let Some((session, user)) = self.session(browser).await? else {
            let form = self.account_form(browser, None, None)?;
            return Ok(AccountPage::SignIn(Box::new(form)));
        };
        let account = self
            .store
            .account(&user.user.uid)
            .await
            .map_err(Fault::store("read an account"))?;
        let view = self.account_view(&session, user, account)?;
        Ok(AccountPage::Show(Box::new(view)))
    }

    /// The sign-in form of a person who wants to see their account.
    pub(super) fn account_form(
        &self,
        browser: &Browser,
        username: Option<String>,
        notice: Option<Notice>,
    ) -> Result<SignInForm, BrowserError> {
        Ok(SignInForm {
            client: None,
            redirect_uri: None,
            sealed: self.seal_errand(browser, &Errand::Account)?,
            username: username.unwrap_or_default(),
            notice,
        })
    }

    fn account_view(
        &self,
        here: &SessionRecord,
        user: UserRecord,
        account: Account,
    ) -> Result<AccountView, BrowserError> {
        let mut sessions = Vec::with_capacity(account.sessions.len());
        for session in &account.sessions {
            let signed_in = |grant: &GrantRecord| grant.session == session.hash;
            sessions.push(SessionView {
                handle: self.seal(SESSION, &session.hash)?,
                here: session.hash == here.hash,
                began_at: session.authentication.at,
                last_used_at: session.last_used_at,
                apps: account
                    .apps
                    .iter()
                    .filter(|app| app.grants.iter().any(signed_in))
                    .map(|app| app.client.client.client_name.clone())
                    .collect(),
            });
        }
        sessions.sort_by_key(|session| !session.here);
        Ok(AccountView {
            user: user.user,
            password_set_at: user.own_password.map(|password| password.set_at),
            sessions,
            apps: account.apps.into_iter().map(app_view).collect(),
            at: self.clock.now(),
        })
    }

    /// Ends something at once, for whoever is signed in here: nobody ends anything of somebody else. False when nobody is
    /// signed in any more.
    pub async fn end(&self, browser: &Browser, ending: Ending<'_>) -> Result<bool, BrowserError> {
        let Some((session, user)) = self.session(browser).await? else {
            return Ok(false);
        };
        let uid = &user.user.uid;
        let (name, client_id, ended) = match ending {
            Ending::Session(handle) => {
                let ended = match self.open::<TokenHash>(SESSION, handle) {
                    Some(hash) => self.store.end_session_of(uid, &hash).await,
                    None => Ok(false),
                };
                ("session_ended", None, ended)
            }
            Ending::OtherSessions => {
                let ended = self.store.end_other_sessions(uid, &session.hash).await;
                ("other_sessions_ended", None, ended.map(|ended| ended > 0))
            }
            Ending::App(client_id) => {
                let client_id = ClientId::new(client_id);
                let ended = match self.store.client(&client_id).await {
                    Ok(Some(client)) => self.store.end_app(uid, &client.client.uid).await,
                    Ok(None) => Ok(false),
                    Err(error) => Err(error),
                };
                ("app_access_ended", Some(client_id), ended)
            }
        };
        // What was gone already has ended too: the person sees the page as it then is.
        if ended.map_err(Fault::store("end what a person has"))? {
            audit::record(&Event {
                name,
                client_id: client_id.as_ref(),
                subject: Some(&user.user.subject),
                ..Event::default()
            });
        }
        Ok(true)
    }

    /// What was done, for the redirect to the account page to carry: a link that says so without our seal says nothing.
    pub fn seal_done(&self, browser: &Browser, done: Done) -> Result<String, BrowserError> {
        let sealed = SealedDone {
            done,
            at: self.clock.now(),
            browser: browser.nonce.hash(),
        };
        Ok(self.seal(DONE, &sealed)?)
    }

    /// Opens what [`Provider::seal_done`] sealed for this browser a while ago.
    pub fn open_done(&self, browser: &Browser, sealed: &str) -> Option<Done> {
        self.open::<SealedDone>(DONE, sealed)
            .filter(|sealed| sealed.browser.matches(&browser.nonce.hash()))
            .filter(|sealed| self.clock.now() < later(sealed.at, INTERACTION_LIFETIME))
            .map(|sealed| sealed.done)
    }
}

fn app_view(app: AccountApp) -> AppView {
    let mut allowed = app.consented;
    for grant in &app.grants {
        allowed = allowed.union(&grant.allowed());
    }
    AppView {
        available: app.client.is_live(),
        client_id: app.client.client.client_id,
        name: app.client.client.client_name,
        allowed,
        signed_in_at: app.grants.iter().map(|grant| grant.created_at).max(),
        offline: app.grants.iter().any(|grant| grant.offline),
    }
}
