//! Revocation (RFC 7009).
//!
//! A token is what its text says: every kind has a form of its own, so `token_type_hint` has nothing to add and no hint,
//! right, wrong or unknown, changes the answer (section 2.1 lets it be ignored). Whichever token of a grant is presented,
//! the grant ends, with its refresh tokens and access tokens (section 2 asks for the first and allows the second): an app
//! that gives a token up has signed somebody out. Userinfo and introspection know at once; a resource server that only
//! verifies signatures waits for the expiry. A token of a client that acts for itself hangs on no grant and ends alone.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::oidc::access_token::AccessTokenClaims;
use crate::oidc::client::Client;
use crate::oidc::error::ErrorCode;
use crate::oidc::id_token;
use crate::oidc::identifier::ResourceUid;
use crate::oidc::opaque_token::{OpaqueToken, TokenHash, TokenKind};
use crate::oidc::parameters::Parameters;
use crate::store::RevokeAccessToken;
use crate::store::records::GrantRecord;

use super::Provider;
use super::access_token::{Behind, LiveAccessToken};
use super::answer::{Answer, Failure, refused};
use super::audit;
use super::client_request::{ClientRequest, Identified, required};
use super::fault::Fault;

/// The parameters of the endpoint's own. Others are ignored.
const PARAMETERS: [&str; 2] = ["token", "token_type_hint"];

/// What a presented token hangs on.
enum Found {
    /// What a person allowed.
    OnGrant(Box<GrantRecord>),
    /// A client that acts for itself.
    OnClient {
        uid: ResourceUid,
        claims: Box<AccessTokenClaims<'static>>,
    },
}

impl Found {
    fn client_uid(&self) -> &ResourceUid {
        match self {
            Self::OnGrant(grant) => &grant.client_uid,
            Self::OnClient { uid, .. } => uid,
        }
    }
}

impl Provider {
    /// Ends what the presented token hangs on. A token that is unknown, expired or revoked already is no error (section
    /// 2.2): it is as dead as was asked for.
    pub async fn revoke(&self, request: ClientRequest<'_>) -> Answer<()> {
        match self.identify(&request, &PARAMETERS).await {
            Ok(Identified {
                client,
                origin_allowed,
            }) => Answer {
                result: self.revoke_token(&client, request.parameters).await,
                origin_allowed,
            },
            Err(failure) => Answer::to_no_origin(failure),
        }
    }

    async fn revoke_token(&self, client: &Client, form: &Parameters) -> Result<(), Failure> {
        let Some(found) = self.find_token(required(form, "token")?).await? else {
            return Ok(());
        };
        // Section 2.1: refused, and the client is told so.
        if *found.client_uid() != client.uid {
            return Err(refused(
                ErrorCode::InvalidGrant,
                "the token was issued to another client",
            ));
        }
        match found {
            Found::OnGrant(grant) => Ok(self.revoke_whole_grant(client, &grant).await?),
            Found::OnClient { claims, .. } => self.revoke_single(client, &claims).await,
        }
    }

    async fn revoke_whole_grant(&self, client: &Client, grant: &GrantRecord) -> Result<(), Fault> {
        if grant.revoked_at.is_some() {
            return Ok(());
        }
        self.store
            .revoke_grant(&grant.id)
            .await
            .map_err(Fault::store("revoke a grant"))?;
        audit::record(&audit::Event {
            name: "grant_revoked",
            client_id: Some(&client.client_id),
            subject: Some(&grant.subject),
            grant: Some(&grant.id),
        });
        Ok(())
    }

    /// A client that acts for itself has no grant, so one token ends and the others stay.
    async fn revoke_single(&self, client: &Client, claims: &AccessTokenClaims<'_>) -> Result<(), Failure> {
        let expires_at = Timestamp::from_second(claims.exp).unwrap_or(Timestamp::MAX);
        let jti = TokenHash::of(claims.jti.as_bytes());
        let revoked = self
            .store
            .revoke_access_token(&client.uid, &jti, expires_at)
            .await;
        if let RevokeAccessToken::Full(until) = revoked.map_err(Fault::store("revoke an access token"))? {
            let wait = until.duration_since(self.clock.now());
            return Err(Failure::Limited(Duration::try_from(wait).unwrap_or_default()));
        }
        audit::record(&audit::Event {
            name: "access_token_revoked",
            client_id: Some(&client.client_id),
            ..audit::Event::default()
        });
        Ok(())
    }

    /// What a token hangs on, if it is one and may still be good for something.
    async fn find_token(&self, token: &str) -> Result<Option<Found>, Failure> {
        if let Some(token) = OpaqueToken::parse(TokenKind::RefreshToken, token) {
            // A spent one too: whoever holds an old token of the family wants its end no less.
            let found = self
                .store
                .refresh_token(&token.hash())
                .await
                .map_err(Fault::store("look up a refresh token"))?;
            return Ok(found.map(|(_, grant)| Found::OnGrant(Box::new(grant))));
        }
        if self.is_of_another_type(token) {
            return Err(refused(
                ErrorCode::UnsupportedTokenType,
                "only access tokens and refresh tokens can be revoked",
            ));
        }
        match self.live_access_token(token).await {
            Ok(LiveAccessToken { claims, behind }) => Ok(Some(match behind {
                Behind::Person(live) => Found::OnGrant(Box::new(live.grant)),
                Behind::Client(record) => Found::OnClient {
                    uid: record.client.uid,
                    claims: Box::new(claims),
                },
            })),
            Err(Failure::Refused(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Whether the text is something of ours that no revocation ends: an authorization code, or an ID token.
    fn is_of_another_type(&self, token: &str) -> bool {
        OpaqueToken::parse(TokenKind::AuthorizationCode, token).is_some()
            || self
                .keyring
                .current()
                .verify::<serde::de::IgnoredAny>(token, id_token::TYP)
                .is_ok()
    }
}
