//! Another password, chosen by the person who knows the current one.

use std::time::Duration;

use super::{Event, audit};
use crate::oidc::end_user::EndUser;
use crate::oidc::opaque_token::OpaqueToken;
use crate::oidc::password::{HasherError, Password};
use crate::oidc::password_rules::{self, PasswordRuleError};
use crate::provider::Provider;
use crate::provider::browser::Browser;
use crate::provider::fault::Fault;
use crate::provider::interaction::BrowserError;
use crate::provider::password::PasswordCheck;
use crate::store::ChangePassword;
use crate::store::records::{OwnPasswordRecord, UserRecord};

/// What the form sent, as typed; `None` where it is longer than any password.
pub struct PasswordAttempt {
    /// The password of now. Whoever only finds an open browser does not know it.
    pub current: Option<Password>,
    /// The one that is to count from now on.
    pub new: Option<Password>,
    /// The same again.
    pub repeated: Option<Password>,
}

/// What an attempt came to.
pub enum PasswordOutcome {
    /// Nobody is signed in any more.
    SignedOut,
    /// The form is shown again.
    Again(Box<EndUser>, PasswordNotice),
    /// The new password counts. This is the cookie of the session that takes the place of the one of before.
    Changed(OpaqueToken),
}

/// Why the form is shown again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordNotice {
    /// The current password is not right.
    NotCurrent,
    /// The two new ones differ.
    NotRepeated,
    /// The new one cannot be set.
    Unfit(PasswordRuleError),
    /// Too many passwords are being checked; try again in a moment.
    Busy,
    /// Too many were wrong; try again after this time.
    Wait(Duration),
}

impl Provider {
    /// Sets another password. The session of this browser goes on under another id, and everything else of the person
    /// ends: their other sessions, and whatever apps hold, those of this browser too. A stolen refresh token is what people
    /// change their password for, and nobody can tell it from the app's own; apps that are sent here again need no more
    /// than the session.
    pub async fn change_password(
        &self,
        browser: &Browser,
        attempt: PasswordAttempt,
    ) -> Result<PasswordOutcome, BrowserError> {
        self.require_provisioned().await?;
        let Some((replaced, user)) = self.session(browser).await? else {
            return Ok(PasswordOutcome::SignedOut);
        };
        let shown = user.user.clone();
        let again = |notice| Ok(PasswordOutcome::Again(Box::new(shown.clone()), notice));
        // What costs nothing first.
        let new = match fit(&attempt) {
            Ok(new) => new,
            Err(notice) => return again(notice),
        };
        let checked = self
            .check_password(&user.user.username, attempt.current.as_ref(), browser)
            .await?;
        let user = match checked {
            // The name may have passed to somebody else since the session began.
            PasswordCheck::Right(checked) if checked.user.uid == user.user.uid => *checked,
            PasswordCheck::Right(_) | PasswordCheck::Wrong => {
                record("password_change_failed", &user);
                return again(PasswordNotice::NotCurrent);
            }
            PasswordCheck::Busy => return again(PasswordNotice::Busy),
            PasswordCheck::Wait(wait) => {
                record("password_change_failed", &user);
                return again(PasswordNotice::Wait(wait));
            }
        };
        let Some(current) = user.password_hash() else {
            return again(PasswordNotice::NotCurrent);
        };
        let hash = match self.hasher.hash(new).await {
            Ok(hash) => hash,
            Err(HasherError::QueueFull) => return again(PasswordNotice::Busy),
            Err(error) => return Err(Fault::hasher("hash a password")(error).into()),
        };
        let (session, cookie) = self.new_session(&user);
        let own = OwnPasswordRecord {
            hash,
            set_at: session.last_used_at,
        };
        let changed = self
            .store
            .change_password(&replaced.hash, session, current, own)
            .await
            .map_err(Fault::store("store a password"))?;
        match changed {
            ChangePassword::Changed => {
                record("password_changed", &user);
                Ok(PasswordOutcome::Changed(cookie))
            }
            ChangePassword::NotCurrent => again(PasswordNotice::NotCurrent),
            ChangePassword::SessionGone => Ok(PasswordOutcome::SignedOut),
        }
    }
}

/// The new password, if it may be set.
fn fit(attempt: &PasswordAttempt) -> Result<&Password, PasswordNotice> {
    let new = attempt.new.as_ref();
    let new = new.ok_or(PasswordNotice::Unfit(PasswordRuleError::TooLong))?;
    password_rules::check(new).map_err(PasswordNotice::Unfit)?;
    let repeated = attempt.repeated.as_ref().map(Password::expose);
    if repeated == Some(new.expose()) {
        Ok(new)
    } else {
        Err(PasswordNotice::NotRepeated)
    }
}

fn record(name: &'static str, user: &UserRecord) {
    audit::record(&Event {
        name,
        subject: Some(&user.user.subject),
        ..Event::default()
    });
}
