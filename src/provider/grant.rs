//! Grant types: each reduces a request to one [`Authorization`] and does nothing else. Which client asks, whether it may
//! use the grant type, scope and access policy, and minting are the pipeline's (`provider::token`), so that no grant can
//! skip a step.

use crate::clock::later;
use crate::oidc::client::Client;
use crate::oidc::grant_type::GrantType;
use crate::oidc::identifier::GrantId;
use crate::oidc::opaque_token::{OpaqueToken, TokenKind};
use crate::oidc::scope::ScopeSet;
use crate::oidc::thumbprint::Thumbprint;
use crate::provider::Provider;
use crate::provider::audit;
use crate::store::Redeemed;
use crate::store::records::{GrantRecord, NewRefreshToken, UserRecord};

pub(super) mod authorization_code;
pub(super) mod client_credentials;
pub(super) mod device_code;
pub(super) mod refresh_token;

/// What every grant type reduces to.
pub(super) struct Authorization {
    /// For whom the client acts.
    pub(super) holder: Holder,
    /// What this request asks for of what was allowed. The pipeline cuts it down to what the grant has.
    pub(super) scope: ScopeSet,
    /// For which resources the token is; none means the default audience. The pipeline decides it.
    pub(super) resources: Vec<String>,
    /// Already stored with the grant's own operation.
    pub(super) refresh_token: Option<OpaqueToken>,
}

/// For whom a client acts.
pub(super) enum Holder {
    /// For a person who has allowed it.
    Person(Box<Person>),
    /// For itself.
    Client,
}

/// A person who has allowed something.
pub(super) struct Person {
    /// What to which client: the one that asks. A grant type redeems nothing that another client was given, and the pipeline
    /// refuses it where one does.
    pub(super) grant: GrantRecord,
    /// The user as registered now.
    pub(super) user: UserRecord,
    /// For the ID token.
    pub(super) nonce: Option<String>,
}

/// The first refresh token of a new grant, and what the grant's operation stores of it; none for a client that did not
/// register that grant type.
fn first_refresh_token(
    provider: &Provider,
    client: &Client,
    jkt: Option<&Thumbprint>,
) -> Option<(OpaqueToken, NewRefreshToken)> {
    if !client.may_use(GrantType::RefreshToken) {
        return None;
    }
    let token = OpaqueToken::generate(TokenKind::RefreshToken, &*provider.random);
    let stored = NewRefreshToken {
        hash: token.hash(),
        expires_at: later(provider.clock.now(), client.lifetimes.refresh_token_idle),
        dpop_jkt: key_of_refresh_token(client, jkt),
    };
    Some((token, stored))
}

/// The key that a refresh token is bound to: that of a public client, which nothing else ties to it. A confidential client
/// authenticates, and may take another key (RFC 9449 section 5).
fn key_of_refresh_token(client: &Client, jkt: Option<&Thumbprint>) -> Option<Thumbprint> {
    jkt.filter(|_| client.is_public()).cloned()
}

impl Authorization {
    /// All that a grant has, once the store has redeemed what stands for it. `nonce` is that of the ID token.
    fn of_redeemed(
        Redeemed { grant, user, .. }: Redeemed,
        nonce: Option<String>,
        refresh_token: Option<OpaqueToken>,
    ) -> Self {
        Self {
            scope: grant.scope.clone(),
            resources: grant.resources.clone(),
            holder: Holder::Person(Box::new(Person { grant, user, nonce })),
            refresh_token,
        }
    }

    /// The person, if there is one.
    pub(super) fn person(&self) -> Option<&Person> {
        match &self.holder {
            Holder::Person(person) => Some(person),
            Holder::Client => None,
        }
    }
}

/// Writes down which grants of a person at a client ended to make room for this one.
fn record_ended(client: &Client, grant: &GrantRecord, ended: &[GrantId]) {
    for ended in ended {
        audit::record(&audit::Event {
            name: "grant_ended_for_another",
            client_id: Some(&client.client_id),
            subject: Some(&grant.subject),
            grant: Some(ended),
        });
    }
}
