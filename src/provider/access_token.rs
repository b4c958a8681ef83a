//! Access tokens that come back: which are good now, and what they stand for.

use crate::oidc::access_token::{self, AccessTokenClaims};
use crate::oidc::error::ErrorCode;
use crate::store::Redeemed;

use super::Provider;
use super::answer::{Failure, refused_because};
use super::fault::Fault;

/// An access token that is good now.
pub(super) struct LiveAccessToken {
    pub(super) claims: AccessTokenClaims<'static>,
    /// The grant that it hangs on, and the user as registered now.
    pub(super) live: Redeemed,
}

impl Provider {
    /// Reads an access token of ours for use at our own endpoints. Whatever keeps it from being good is the refusal
    /// `invalid_token`, whose reason is for the log.
    pub(super) async fn live_access_token(&self, token: &str) -> Result<LiveAccessToken, Failure> {
        self.require_provisioned().await?;
        let claims: AccessTokenClaims<'static> = self
            .keyring
            .current()
            .verify(token, access_token::TYP)
            .map_err(|rejected| invalid(rejected.0))?;
        if claims.iss != self.issuer.as_str() || claims.aud != self.issuer.as_str() {
            return Err(invalid("the token is of another issuer or for another audience"));
        }
        if claims.exp <= self.clock.now().as_second() {
            return Err(invalid("the token expired"));
        }
        let grant = access_token::grant_of(&claims.jti).ok_or_else(|| invalid("jti names no grant"))?;
        let live = self
            .store
            .live_grant(&grant)
            .await
            .map_err(Fault::store("look up a grant"))?
            .ok_or_else(|| invalid("the grant ended, or its client, user or session did"))?;
        Ok(LiveAccessToken { claims, live })
    }
}

fn invalid(reason: &'static str) -> Failure {
    refused_because(ErrorCode::InvalidToken, "the access token is not valid", reason)
}
