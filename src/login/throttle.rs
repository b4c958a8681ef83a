//! Throttling of proofs that somebody can try out: which buckets an attempt is counted in, and their numbers.
//!
//! An attempt is counted in three: the account from this network, the account from everywhere, and this network for all
//! accounts. Whoever attacks an account from one network fills the first, whoever tries many accounts the third, and many
//! networks together the second, which is gentle because it also meets the person.
//!
//! No attacker can lock a person out: the wait only grows up to a bound; another network has a bucket of its own; and a
//! browser in which the person has signed in before is counted in a bucket of that browser alone, whatever happens
//! elsewhere.
//!
//! An attempt is counted before the proof is looked at and taken back when the proof was right, so that a thousand at once
//! are as many as a thousand one after another. A right proof clears the bucket of account and network, but takes only
//! itself back from the others: otherwise an attacker with an account of their own would clear them at will.

use std::time::Duration;

use super::network::Network;
use crate::clock::Timestamp;
use crate::oidc::opaque_token::TokenHash;
use crate::store::throttle::{BeginAttempt, Forgiveness, ThrottleBucket, ThrottleKind, ThrottlePolicy};
use crate::store::{Store, StoreError};

/// One account from one network, or from one browser that knows it: ten mistakes cost nothing, the next wait 1, 2, 4, …
/// seconds, at most 15 minutes. In the long run about a hundred guesses a day.
const ACCOUNT_FROM_ONE: ThrottlePolicy = ThrottlePolicy {
    free: 10,
    first_wait: Duration::from_secs(1),
    longest_wait: Duration::from_mins(15),
    forgive_one: Duration::from_mins(15),
    capacity: 20_000,
};

/// One account from everywhere, or from all browsers that know it. The first meets the person too when they come from a browser that they never used before, so the
/// wait stays within a minute.
const ACCOUNT: ThrottlePolicy = ThrottlePolicy {
    free: 100,
    first_wait: Duration::from_secs(1),
    longest_wait: Duration::from_mins(1),
    forgive_one: Duration::from_mins(1),
    capacity: 20_000,
};

/// One network for all accounts: an office may be behind one address, so only mistakes count, two a minute are forgiven,
/// and the wait stays within half a minute.
const NETWORK: ThrottlePolicy = ThrottlePolicy {
    free: 50,
    first_wait: Duration::from_secs(1),
    longest_wait: Duration::from_secs(30),
    forgive_one: Duration::from_secs(30),
    capacity: 20_000,
};

/// User codes of one network, and of one person: ten mistakes cost nothing, and in the long run one guess a minute is left, of
/// 25 thousand million codes.
const USER_CODE: ThrottlePolicy = ThrottlePolicy {
    free: 10,
    first_wait: Duration::from_secs(1),
    longest_wait: Duration::from_mins(5),
    forgive_one: Duration::from_mins(1),
    capacity: 20_000,
};

/// Counts a user code (RFC 8628 section 5.1) that the person who is signed in has typed, by their uid, or else the network: a
/// neighbour who guesses holds up nobody who is known.
pub async fn begin_user_code(
    network: Network,
    person: Option<&str>,
    store: &dyn Store,
) -> Result<Admission, StoreError> {
    let who = match person {
        Some(person) => bucket(ThrottleKind::UserCode, &[b"person", person.as_bytes()]),
        None => bucket(
            ThrottleKind::UserCode,
            &[b"network", network.to_string().as_bytes()],
        ),
    };
    begin(store, vec![who]).await
}

async fn begin(store: &dyn Store, buckets: Vec<ThrottleBucket>) -> Result<Admission, StoreError> {
    Ok(match store.begin_attempt(&buckets).await? {
        BeginAttempt::Counted(at) => Admission::Counted(Counted { at, buckets }),
        BeginAttempt::Wait(kind, until) => Admission::Wait(kind, until),
    })
}

/// Whose proof is tried, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The account, by a pseudonym of its canonical name; whether it exists does not matter.
    pub account: &'a str,
    /// Where the attempt comes from.
    pub network: Network,
    /// The browser, if somebody has signed in to this account in it before.
    pub known_browser: Option<&'a TokenHash>,
}

/// Whether an attempt may go on.
#[derive(Debug)]
pub enum Admission {
    /// It may, and was counted. What came of it must be told.
    Counted(Counted),
    /// It must wait until then, and was not counted.
    Wait(ThrottleKind, Timestamp),
}

/// An attempt that was counted as if it had failed.
#[derive(Debug)]
pub struct Counted {
    at: Timestamp,
    buckets: Vec<ThrottleBucket>,
}

impl Attempt<'_> {
    /// Counts the attempt, or says until when to wait.
    pub async fn begin(&self, store: &dyn Store) -> Result<Admission, StoreError> {
        begin(store, self.buckets()).await
    }

    fn buckets(&self) -> Vec<ThrottleBucket> {
        if let Some(browser) = self.known_browser {
            // Whoever once had the password may have had many browsers known with it; strangers do not come here.
            let account = self.account.as_bytes();
            return vec![
                bucket(ThrottleKind::AccountFromBrowser, &[account, browser.as_bytes()]),
                bucket(ThrottleKind::AccountFromBrowsers, &[account]),
            ];
        }
        let network = self.network.to_string();
        let (account, network) = (self.account.as_bytes(), network.as_bytes());
        vec![
            bucket(ThrottleKind::AccountFromNetwork, &[account, network]),
            bucket(ThrottleKind::Account, &[account]),
            bucket(ThrottleKind::Network, &[network]),
        ]
    }
}

impl Counted {
    /// The proof was right.
    pub async fn succeeded(self, store: &dyn Store) -> Result<(), StoreError> {
        self.forgive(store, |kind| match kind {
            ThrottleKind::AccountFromNetwork | ThrottleKind::AccountFromBrowser => Forgiveness::Everything,
            ThrottleKind::AccountFromBrowsers
            | ThrottleKind::Account
            | ThrottleKind::Network
            | ThrottleKind::UserCode => Forgiveness::Attempt,
        })
        .await
    }

    /// The proof was not looked at after all.
    pub async fn was_not_checked(self, store: &dyn Store) -> Result<(), StoreError> {
        self.forgive(store, |_| Forgiveness::Attempt).await
    }

    async fn forgive(
        self,
        store: &dyn Store,
        forgiveness: impl Fn(ThrottleKind) -> Forgiveness,
    ) -> Result<(), StoreError> {
        let buckets: Vec<_> = self
            .buckets
            .into_iter()
            .map(|bucket| (bucket, forgiveness(bucket.kind)))
            .collect();
        store.forgive_attempt(self.at, &buckets).await
    }
}

fn bucket(kind: ThrottleKind, parts: &[&[u8]]) -> ThrottleBucket {
    let policy = match kind {
        ThrottleKind::AccountFromNetwork | ThrottleKind::AccountFromBrowser => ACCOUNT_FROM_ONE,
        ThrottleKind::AccountFromBrowsers | ThrottleKind::Account => ACCOUNT,
        ThrottleKind::Network => NETWORK,
        ThrottleKind::UserCode => USER_CODE,
    };
    // Neither a pseudonym nor a network holds a NUL.
    let key = TokenHash::of(&parts.join(&0));
    ThrottleBucket { kind, key, policy }
}
