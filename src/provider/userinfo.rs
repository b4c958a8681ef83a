//! Userinfo (OpenID Connect Core section 5.3): claims about the person behind an access token.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::oidc::claims::{self, Claim};
use crate::oidc::error::ErrorCode;
use crate::oidc::identifier::Subject;
use crate::oidc::scope::{OPENID, ScopeSet};
use crate::store::Redeemed;
use crate::store::records::UserRecord;

use super::Provider;
use super::access_token::{Behind, LiveAccessToken, invalid};
use super::answer::{Answer, Failure, refused};

/// The answer: a person as registered now, and what the token may know of them.
pub struct Userinfo {
    sub: Subject,
    user: UserRecord,
    claims: BTreeSet<Claim>,
}

impl Userinfo {
    /// The claims, `sub` always among them (OpenID Connect Core section 5.3.2).
    pub fn claims(&self) -> Map<String, Value> {
        let mut claims = claims::values(&(&self.user).into(), self.claims.iter().copied());
        claims.insert("sub".to_owned(), self.sub.as_str().into());
        claims
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
        if let Err(refused) = behind.refuse_unless_admitted() {
            return Answer::to_no_origin(refused);
        }
        Answer {
            origin_allowed: origin.is_some_and(|origin| behind.client().client.allows_origin(origin)),
            result: userinfo(&ScopeSet::parse(&claims.scope), behind),
        }
    }
}

/// What the token's scope gives, and what was asked for by name.
fn userinfo(scope: &ScopeSet, behind: Behind) -> Result<Userinfo, Failure> {
    let Redeemed { grant, user, client } = match behind {
        Behind::Person(live) if scope.contains(OPENID) => *live,
        Behind::Person(_) | Behind::Client(_) => {
            return Err(refused(
                ErrorCode::InsufficientScope,
                "the scope openid is required",
            ));
        }
    };
    let mut claims: BTreeSet<Claim> = claims::of_scope(scope).collect();
    // What the client may ask for may have become less since.
    claims.extend(grant.claims.within(&client.client.scopes).userinfo);
    Ok(Userinfo {
        sub: grant.sub().clone(),
        user,
        claims,
    })
}
