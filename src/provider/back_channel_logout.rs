//! Tells clients that a session ended in which they took part (OpenID Connect Back-Channel Logout).
//!
//! Whatever ends a session leaves a notice in the store, see [`crate::store::Store::claim_logout_notice`]; nobody waits for what
//! follows. Here the notices are taken one after the other from client to client, and of each client one at a time: an app
//! that is slow, or a thousand that never answer, delay others by their share alone.
//!
//! Decisions where the specification leaves the choice:
//! - both `sub` and `sid` are sent, except where everything of a person ends, which `sub` alone says (section 2.4);
//! - an attempt that is made again brings a new token with a `jti` of its own: an app that remembers `jti`s (section 2.6) would
//!   refuse one that it has seen, and that it may never have carried out. An app may so be told twice;
//! - an answer of 200 to 299 is a success (section 2.8 has 200, and 204 of some frameworks); 400 is the app's word that it
//!   refuses the token, which another one would not change; whatever else is answered, or nothing, is tried again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use url::form_urlencoded;

use super::Provider;
use super::audit::{self, Event};
use super::fault::Fault;
use crate::clock::later;
use crate::oidc::client::Client;
use crate::oidc::identifier::ResourceUid;
use crate::oidc::logout_token::{self, Events, LogoutTokenClaims};
use crate::oidc::redirect_uri;
use crate::random;
use crate::store::ClaimedLogoutNotice;
use crate::store::records::{ClientRecord, LogoutNoticeRecord};

/// How long after each attempt the next one is made; after the last nobody tries any more. Each is longer than a
/// delivery takes, so that no two attempts meet.
pub const PAUSES: [Duration; 5] = [
    Duration::from_secs(15),
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_mins(30),
];

/// So many clients are told at once.
const AT_ONCE: usize = 32;
/// How often somebody looks whether there is anything to tell.
const LOOK: Duration = Duration::from_millis(500);
/// The same while the store does not answer.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Posts to where owners of clients say. Whoever implements it guards what they may reach.
#[async_trait]
pub trait Courier: Send + Sync + 'static {
    /// Posts a form of the media type `application/x-www-form-urlencoded`, and gives the HTTP status of the answer.
    ///
    /// # Errors
    ///
    /// Why there was no answer, for the log alone.
    async fn deliver(&self, uri: &str, form: String) -> Result<u16, String>;
}

/// The task that tells clients.
pub struct LogoutNotifier {
    provider: Provider,
    courier: Arc<dyn Courier>,
}

/// What an attempt came to.
enum Told {
    Yes,
    /// It refuses, for good.
    Refused(String),
    /// It may work another time.
    No(String),
}

impl LogoutNotifier {
    /// Clients are told what `provider` knows, by way of `courier`.
    pub fn new(provider: Provider, courier: Arc<dyn Courier>) -> Self {
        Self { provider, courier }
    }

    /// Tells clients until `shutdown`. What is on its way then is told again by the next process.
    pub async fn run(self, shutdown: CancellationToken) {
        let notifier = Arc::new(self);
        let mut deliveries = JoinSet::new();
        let mut busy: HashMap<Id, ResourceUid> = HashMap::new();
        let mut last: Option<ResourceUid> = None;
        loop {
            let mut look = LOOK;
            while busy.len() < AT_ONCE {
                match notifier.claim(last.as_ref(), &busy).await {
                    Ok(None) => break,
                    Ok(Some(claimed)) => {
                        let client = claimed.client.client.uid.clone();
                        let notifier = Arc::clone(&notifier);
                        let task = deliveries.spawn(async move { notifier.tell(claimed).await });
                        busy.insert(task.id(), client.clone());
                        last = Some(client);
                    }
                    Err(fault) => {
                        tracing::warn!(error = fault.with_source(), "trying again later");
                        look = LOOK_AGAIN;
                        break;
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(ended) = deliveries.join_next_with_id() => {
                    let id = ended.map_or_else(|panicked| panicked.id(), |(id, ())| id);
                    busy.remove(&id);
                }
                () = tokio::time::sleep(look) => {}
            }
        }
    }

    async fn claim(
        &self,
        after: Option<&ResourceUid>,
        busy: &HashMap<Id, ResourceUid>,
    ) -> Result<Option<ClaimedLogoutNotice>, Fault> {
        let busy: Vec<ResourceUid> = busy.values().cloned().collect();
        self.provider
            .store
            .claim_logout_notice(after, &busy, &PAUSES)
            .await
            .map_err(Fault::store("look for clients to tell that a session ended"))
    }

    async fn tell(&self, ClaimedLogoutNotice { notice, client }: ClaimedLogoutNotice) {
        let told = self.attempt(&notice, &client.client).await;
        let is_last = usize::try_from(notice.attempts).unwrap_or(usize::MAX) >= PAUSES.len();
        let event = match &told {
            Told::Yes => "logout_token_accepted",
            Told::No(_) if !is_last => "logout_token_not_accepted",
            Told::No(_) | Told::Refused(_) => "logout_token_given_up",
        };
        if let Told::No(reason) | Told::Refused(reason) = &told {
            let uri = client
                .client
                .backchannel_logout_uri
                .as_deref()
                .unwrap_or_default();
            tracing::warn!(
                client_id = %client.client.client_id,
                uri = redirect_uri::shown(uri),
                attempt = notice.attempts,
                reason,
                "an app was not told that a session ended"
            );
        }
        if event != "logout_token_not_accepted" {
            self.end(&notice, &client, matches!(told, Told::Yes)).await;
        }
        audit::record(&Event {
            name: event,
            client_id: Some(&client.client.client_id),
            subject: Some(&notice.sub),
            ..Event::default()
        });
    }

    async fn end(&self, notice: &LogoutNoticeRecord, client: &ClientRecord, was_told: bool) {
        if !was_told {
            self.provider.notices.logout_token_given_up(client);
        }
        if let Err(error) = self.provider.store.end_logout_notice(notice).await {
            tracing::warn!(%error, "an app will be told again that a session ended");
        }
    }

    async fn attempt(&self, notice: &LogoutNoticeRecord, client: &Client) -> Told {
        let Some(uri) = &client.backchannel_logout_uri else {
            return Told::Refused("it has no backchannel_logout_uri any more".to_owned());
        };
        let token = match self.provider.mint_logout_token(notice, client) {
            Ok(token) => token,
            Err(fault) => return Told::No(fault.with_source()),
        };
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("logout_token", &token)
            .finish();
        match self.courier.deliver(uri, form).await {
            Ok(200..=299) => Told::Yes,
            Ok(400) => Told::Refused("it answers 400".to_owned()),
            Ok(status) => Told::No(format!("it answers {status}")),
            Err(reason) => Told::No(reason),
        }
    }
}

impl Provider {
    fn mint_logout_token(&self, notice: &LogoutNoticeRecord, client: &Client) -> Result<String, Fault> {
        let now = self.clock.now();
        let jti = URL_SAFE_NO_PAD.encode(random::bytes::<16>(&*self.random));
        let claims = LogoutTokenClaims {
            iss: self.issuer.as_str(),
            sub: notice.sub.as_str(),
            aud: client.client_id.as_str(),
            iat: now.as_second(),
            exp: later(now, logout_token::LIFETIME).as_second(),
            jti: &jti,
            events: Events::default(),
            sid: notice.sid.as_deref(),
        };
        // Section 2.6 has a client verify it by the same algorithm as ID tokens.
        self.keyring
            .current()
            .sign(client.token_signing().id_token, logout_token::TYP, &claims, now)
            .map_err(Fault::keyring("sign a logout token"))
    }
}
