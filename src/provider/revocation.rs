//! Revocation (RFC 7009).
//!
//! A token is what its text says: every kind has a form of its own, so `token_type_hint` has nothing to add and no hint,
//! right, wrong or unknown, changes the answer (section 2.1 lets it be ignored). Whichever token of a grant is presented,
//! the grant ends, with its refresh tokens and access tokens (section 2 asks for the first and allows the second): an app
//! that gives a token up has signed somebody out. Userinfo and introspection know at once; a resource server that only
//! verifies signatures waits for the expiry.

use crate::oidc::client::Client;
use crate::oidc::error::ErrorCode;
use crate::oidc::id_token;
use crate::oidc::opaque_token::{OpaqueToken, TokenKind};
use crate::oidc::parameters::Parameters;
use crate::store::records::GrantRecord;

use super::Provider;
use super::access_token::LiveAccessToken;
use super::answer::{Answer, Failure, refused};
use super::audit;
use super::client_request::{ClientRequest, Identified, required};
use super::fault::Fault;

/// The parameters that the endpoint knows. Others are ignored.
const PARAMETERS: [&str; 4] = ["token", "token_type_hint", "client_id", "client_secret"];

impl Provider {
    /// Ends the grant of the presented token. A token that is unknown, expired or revoked already is no error (section
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
        let Some(grant) = self.grant_behind(required(form, "token")?).await? else {
            return Ok(());
        };
        // Section 2.1: refused, and the client is told so.
        if grant.client_uid != client.uid {
            return Err(refused(
                ErrorCode::InvalidGrant,
                "the token was issued to another client",
            ));
        }
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

    /// The grant that a token hangs on, if there is one.
    async fn grant_behind(&self, token: &str) -> Result<Option<GrantRecord>, Failure> {
        if let Some(token) = OpaqueToken::parse(TokenKind::RefreshToken, token) {
            // A spent one too: whoever holds an old token of the family wants its end no less.
            let found = self
                .store
                .refresh_token(&token.hash())
                .await
                .map_err(Fault::store("look up a refresh token"))?;
            return Ok(found.map(|(_, grant)| grant));
        }
        if self.is_of_another_type(token) {
            return Err(refused(
                ErrorCode::UnsupportedTokenType,
                "only access tokens and refresh tokens can be revoked",
            ));
        }
        match self.live_access_token(token).await {
            Ok(LiveAccessToken { live, .. }) => Ok(Some(live.grant)),
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
