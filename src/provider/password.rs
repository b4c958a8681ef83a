//! Checks a password that somebody typed: throttled, with a fair share of the hasher, and at the same cost for everybody.
//!
//! Whatever asks for a password asks here, so that no page is a way around the throttle of another.

use std::time::Duration;

use super::Provider;
use super::browser::Browser;
use super::fault::Fault;
use crate::login::throttle::{Admission, Attempt, Counted};
use crate::oidc::audit::TARGET;
use crate::oidc::password::{HasherError, Password};
use crate::store::records::UserRecord;
use crate::store::throttle::ThrottleKind;

/// What a password came to.
pub(super) enum PasswordCheck {
    /// It is that of this user, who may sign in.
    Right(Box<UserRecord>),
    /// Unknown user, wrong password, disabled user: nobody is told which.
    Wrong,
    /// Too many passwords wait to be checked; nothing was counted.
    Busy,
    /// Too many were wrong: the next one is looked at after this time, and this one was not.
    Wait(Duration),
}

impl Provider {
    /// Checks the password of a canonical username; `None` is one that is too long to be anybody's. An attempt counts in
    /// the buckets of [`crate::login::throttle`] before anything is looked up, whether the user exists or not.
    pub(super) async fn check_password(
        &self,
        username: &str,
        password: Option<&Password>,
        browser: &Browser,
    ) -> Result<PasswordCheck, Fault> {
        let account = self.keyring.current().pseudonym(username);
        let attempt = Attempt {
            account: &account,
            network: browser.network,
            known_browser: browser.known_for(&account),
        };
        let admission = attempt
            .begin(self.store.as_ref())
            .await
            .map_err(Fault::store("count a sign-in"))?;
        let counted = match admission {
            Admission::Counted(counted) => counted,
            Admission::Wait(kind, until) => {
                self.note_throttled(&attempt, kind);
                let wait = until.duration_since(self.clock.now());
                return Ok(PasswordCheck::Wait(wait.try_into().unwrap_or_default()));
            }
        };
        let Some(place) = self.shares.take(browser.network, &account) else {
            return self.not_checked(counted).await;
        };
        let checked = self.verify(username, password).await;
        drop(place);
        match checked {
            Ok(Some(user)) => {
                counted
                    .succeeded(self.store.as_ref())
                    .await
                    .map_err(Fault::store("take a sign-in back from the throttle"))?;
                Ok(PasswordCheck::Right(Box::new(user)))
            }
            Ok(None) => {
                note_failure(&account);
                Ok(PasswordCheck::Wrong)
            }
            Err(Fault::Hasher {
                source: HasherError::QueueFull,
                ..
            }) => self.not_checked(counted).await,
            Err(fault) => Err(fault),
        }
    }

    async fn not_checked(&self, counted: Counted) -> Result<PasswordCheck, Fault> {
        counted
            .was_not_checked(self.store.as_ref())
            .await
            .map_err(Fault::store("take a sign-in back from the throttle"))?;
        Ok(PasswordCheck::Busy)
    }

    /// Exactly one hash is computed whoever the name belongs to, so that time says nothing about who exists.
    async fn verify(&self, username: &str, password: Option<&Password>) -> Result<Option<UserRecord>, Fault> {
        let user = self
            .store
            .user_by_username(username)
            .await
            .map_err(Fault::store("read the user who signs in"))?;
        let hash = user.as_ref().and_then(UserRecord::password_hash);
        // Too long to be anybody's: one hash all the same, of nothing.
        let empty = Password::new("");
        let Some(typed) = password.or(empty.as_ref()) else {
            return Ok(None);
        };
        let verification = self
            .hasher
            .verify(typed, hash.filter(|_| password.is_some()))
            .await
            .map_err(Fault::hasher("verify a password"))?;
        let Some(mut user) = user.filter(|user| verification.matches && user.is_live()) else {
            return Ok(None);
        };
        if verification.outdated {
            self.upgrade_hash(&mut user, typed).await;
        }
        Ok(Some(user))
    }

    /// Which bucket was full, of which account and network, as pseudonyms.
    fn note_throttled(&self, attempt: &Attempt<'_>, kind: ThrottleKind) {
        tracing::info!(
            target: TARGET,
            event = "sign_in_throttled",
            bucket = kind.name(),
            username_pseudonym = attempt.account,
            network_pseudonym = self.keyring.current().pseudonym(&attempt.network.to_string()),
        );
    }

    /// Hashes again with today's parameters. The sign-in does not depend on it: the next one tries again.
    async fn upgrade_hash(&self, user: &mut UserRecord, password: &Password) {
        let Some(old) = user.password_hash().cloned() else {
            return;
        };
        let upgraded = match self.hasher.hash(password).await {
            Ok(new) => self
                .store
                .upgrade_password(&user.user.uid, &old, new.clone())
                .await
                .map(|()| user.upgrade_hash(&old, new))
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = upgraded {
            tracing::warn!(user_uid = user.user.uid.as_str(), %error, "failed to upgrade a password hash");
        }
    }
}

/// People type passwords into the username field, so a failed name is never written as it is.
fn note_failure(account: &str) {
    tracing::info!(
        target: TARGET,
        event = "sign_in_failed",
        username_pseudonym = account,
    );
}
