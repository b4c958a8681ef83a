//! Userinfo (OpenID Connect Core section 5.3): claims about the person behind an access token.

use crate::oidc::access_token::{self, AccessTokenClaims};
use crate::oidc::claims::UserinfoClaims;
use crate::oidc::end_user::EndUser;
use crate::oidc::error::ErrorCode;
use crate::oidc::identifier::ClientId;
use crate::oidc::scope::{OPENID, ScopeSet};
use crate::store::Redeemed;

use super::Provider;
use super::answer::{Answer, Failure, refused, refused_because};
use super::fault::Fault;

/// The answer: a person as registered now, and what the token may know of them.
pub struct Userinfo {
    user: EndUser,
    scope: ScopeSet,
}

impl Userinfo {
    /// The claims.
    pub fn claims(&self) -> UserinfoClaims<'_> {
        UserinfoClaims::of(&self.user, &self.scope)
    }
}

impl Provider {
    /// Answers a userinfo request with the access token that it carries.
    pub async fn userinfo(&self, token: &str, origin: Option<&str>) -> Answer<Userinfo> {
        let (claims, live) = match self.live_access_token(token).await {
            Ok(found) => found,
            Err(failure) => {
                return Answer {
                    result: Err(failure),
                    origin_allowed: false,
                };
            }
        };
        let origin_allowed = match self.client_allows_origin(&live.grant.client_id, origin).await {
            Ok(allowed) => allowed,
            Err(fault) => {
                return Answer {
                    result: Err(fault.into()),
                    origin_allowed: false,
                };
            }
        };
        let scope = ScopeSet::parse(&claims.scope);
        let result = if scope.contains(OPENID) {
            Ok(Userinfo {
                user: live.user.user,
                scope,
            })
        } else {
            Err(refused(
                ErrorCode::InsufficientScope,
                "the scope openid is required",
            ))
        };
        Answer {
            result,
            origin_allowed,
        }
    }

    /// The claims of an access token of ours that is valid now, with its grant and user.
    async fn live_access_token(
        &self,
        token: &str,
    ) -> Result<(AccessTokenClaims<'static>, Redeemed), Failure> {
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
        Ok((claims, live))
    }

    /// Without an `Origin` there is nothing to look up.
    async fn client_allows_origin(&self, client_id: &ClientId, origin: Option<&str>) -> Result<bool, Fault> {
        let Some(origin) = origin else { return Ok(false) };
        let record = self
            .store
            .client(client_id)
            .await
            .map_err(Fault::store("look up a client"))?;
        Ok(record.is_some_and(|record| record.client.allows_origin(origin)))
    }
}

fn invalid(reason: &'static str) -> Failure {
    refused_because(ErrorCode::InvalidToken, "the access token is not valid", reason)
}
