//! Userinfo (OpenID Connect Core section 5.3): claims about the person behind an access token.

use crate::oidc::claims::UserinfoClaims;
use crate::oidc::end_user::EndUser;
use crate::oidc::error::ErrorCode;
use crate::oidc::identifier::ClientId;
use crate::oidc::scope::{OPENID, ScopeSet};

use super::Provider;
use super::access_token::{Behind, LiveAccessToken, invalid};
use super::answer::{Answer, refused};
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
        let LiveAccessToken { claims, behind } = match self.live_access_token(token).await {
            // RFC 9068 section 4: a token for another resource only is not for this one.
            Ok(found) if !found.claims.aud.contains(self.issuer.as_str()) => {
                return Answer::to_no_origin(invalid("the token is for another audience"));
            }
            Ok(found) => found,
            Err(failure) => return Answer::to_no_origin(failure),
        };
        let origin_allowed = match self.client_allows_origin(behind.client_id(), origin).await {
            Ok(allowed) => allowed,
            Err(fault) => return Answer::to_no_origin(fault),
        };
        let scope = ScopeSet::parse(&claims.scope);
        let result = match behind {
            Behind::Person(live) if scope.contains(OPENID) => Ok(Userinfo {
                user: live.user.user,
                scope,
            }),
            Behind::Person(_) | Behind::Client(_) => Err(refused(
                ErrorCode::InsufficientScope,
                "the scope openid is required",
            )),
        };
        Answer {
            result,
            origin_allowed,
        }
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
