//! Sign-in with username and password.

use super::audit::{self, Event};
use super::browser::Browser;
use super::fault::Fault;
use super::interaction::{BrowserError, Errand, Interaction, Notice, SignedIn, Stage, Step};
use super::password::PasswordCheck;
use super::{INTERACTION_LIFETIME, Provider, SESSION_IDLE, SESSION_LIFETIME};
use crate::clock::later;
use crate::oidc::authentication::{Authentication, AuthenticationMethod};
use crate::oidc::end_user::canonical_username;
use crate::oidc::opaque_token::{OpaqueToken, TokenKind};
use crate::oidc::password::Password;
use crate::store::SignIn;
use crate::store::records::{InteractionRecord, SessionRecord, UserRecord};

/// What a sign-in form sent.
pub struct Attempt {
    /// The interaction that the form carried.
    pub sealed: String,
    /// The username as typed.
    pub username: String,
    /// The password as typed; `None` when it is longer than any password.
    pub password: Option<Password>,
}

/// What an attempt came to.
pub struct AttemptOutcome {
    /// What comes next.
    pub step: Step,
    /// The new session, for the cookie.
    pub session: Option<OpaqueToken>,
    /// What this browser proves from now on, for the cookie.
    pub known_browser: Option<String>,
}

impl Provider {
    /// Checks username and password, and goes on with the interaction.
    pub async fn sign_in(&self, attempt: Attempt, browser: &Browser) -> Result<AttemptOutcome, BrowserError> {
        let errand = self.open_errand(browser, &attempt.sealed)?;
        self.require_provisioned().await?;
        if let Errand::App(request, _) = &errand {
            // A client that was suspended while the form lay open gets nobody's password.
            self.client_of(request).await?;
        }
        let username = canonical_username(&attempt.username);
        let again = |notice| Stage::Anonymous {
            username: Some(attempt.username.clone()),
            notice: Some(notice),
        };
        let checked = self
            .check_password(&username, attempt.password.as_ref(), browser)
            .await?;
        let (stage, session) = match checked {
            PasswordCheck::Busy => (again(Notice::Busy), None),
            PasswordCheck::Wrong => (again(Notice::Refused), None),
            PasswordCheck::Wait(wait) => (again(Notice::Wait(wait)), None),
            PasswordCheck::Right(user) => match self.open_session(browser, *user, &errand).await? {
                None => (again(Notice::Refused), None),
                Some((signed_in, session)) => (Stage::SignedIn(Box::new(signed_in)), Some(session)),
            },
        };
        let known_browser = match &session {
            Some(_) => Some(self.know_browser(browser.known.as_ref(), &username)?),
            None => None,
        };
        let step = match (errand, stage) {
            (Errand::App(request, started_at), stage) => {
                let interaction = Interaction {
                    request: *request,
                    started_at,
                    stage,
                };
                self.advance(browser, interaction).await?
            }
            (Errand::Account, Stage::SignedIn(_)) => Step::Account,
            (Errand::Account, Stage::Anonymous { username, notice }) => {
                Step::SignIn(Box::new(self.account_form(browser, username, notice)?))
            }
        };
        Ok(AttemptOutcome {
            step,
            session,
            known_browser,
        })
    }

    /// A new session, which replaces the one of this browser (a session id never outlives a sign-in), with the row that
    /// an app's interaction continues in. `None` when the user was disabled meanwhile.
    async fn open_session(
        &self,
        browser: &Browser,
        user: UserRecord,
        errand: &Errand,
    ) -> Result<Option<(SignedIn, OpaqueToken)>, BrowserError> {
        let (session, token) = self.new_session(&user);
        let replaces = browser.session.as_ref().map(OpaqueToken::hash);
        let mut handle = None;
        let outcome = match errand {
            Errand::App(request, started_at) => {
                let token = OpaqueToken::generate(TokenKind::Interaction, &*self.random);
                let row = InteractionRecord {
                    hash: token.hash(),
                    session: session.hash,
                    user_uid: user.user.uid.clone(),
                    request: request.as_ref().clone(),
                    started_at: *started_at,
                    authenticated_here: true,
                    account_chosen: false,
                    expires_at: later(session.last_used_at, INTERACTION_LIFETIME),
                };
                handle = Some(token);
                self.store.sign_in(session.clone(), replaces, row).await
            }
            Errand::Account => self.store.begin_session(session.clone(), replaces).await,
        };
        if outcome.map_err(Fault::store("store a session"))? == SignIn::UserRefused
            || self.ended_if_overtaken(&user, &session).await?
        {
            return Ok(None);
        }
        audit::record(&Event {
            name: "sign_in",
            client_id: match errand {
                Errand::App(request, _) => Some(&request.client_id),
                Errand::Account => None,
            },
            subject: Some(&user.user.subject),
            ..Event::default()
        });
        let signed_in = SignedIn {
            session,
            user,
            authenticated_here: true,
            account_chosen: false,
            allowed_here: false,
            handle,
        };
        Ok(Some((signed_in, token)))
    }

    /// A password that was changed or reset since it was verified has ended every session that there was, but not one that
    /// was stored a moment later. True when this is such a one; it has ended then.
    async fn ended_if_overtaken(&self, user: &UserRecord, session: &SessionRecord) -> Result<bool, Fault> {
        let now = self
            .store
            .user_by_uid(&user.user.uid)
            .await
            .map_err(Fault::store("read the user who has signed in"))?;
        if now.is_some_and(|now| now.has_password_of(user)) {
            return Ok(false);
        }
        self.store
            .end_session(&session.hash)
            .await
            .map_err(Fault::store("end a session that was overtaken"))?;
        Ok(true)
    }

    /// A session of a person who has typed their password just now, and the value of its cookie.
    pub(super) fn new_session(&self, user: &UserRecord) -> (SessionRecord, OpaqueToken) {
        let now = self.clock.now();
        let token = OpaqueToken::generate(TokenKind::Session, &*self.random);
        let session = SessionRecord {
            hash: token.hash(),
            user_uid: user.user.uid.clone(),
            authentication: Authentication {
                at: now,
                methods: vec![AuthenticationMethod::Password],
            },
            last_used_at: now,
            idle_seconds: SESSION_IDLE.as_secs(),
            expires_at: later(now, SESSION_LIFETIME),
        };
        (session, token)
    }
}
