//! Userinfo (OpenID Connect Core section 5.3): claims about the person behind an access token.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::oidc::access_token::Confirmation;
use crate::oidc::claims::{self, Claim};
use crate::oidc::client::Client;
use crate::oidc::discovery::USERINFO_PATH;
use crate::oidc::dpop_proof::ProofHeader;
use crate::oidc::error::ErrorCode;
use crate::oidc::identifier::Subject;
use crate::oidc::scope::{OPENID, ScopeSet};
use crate::store::Redeemed;
use crate::store::records::UserRecord;

use super::Provider;
use super::access_token::{Behind, LiveAccessToken, invalid};
use super::answer::{Answer, Failure, refused};
use super::dpop::Shown;

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

/// An access token as it was shown.
pub struct ShownToken<'a> {
    /// The token.
    pub token: &'a str,
    /// By which scheme.
    pub scheme: Scheme<'a>,
}

/// How an access token is shown.
pub enum Scheme<'a> {
    /// As it is (RFC 6750 section 2).
    Bearer,
    /// With a proof of the key that it is bound to (RFC 9449 section 7.1).
    Dpop {
        /// The proof.
        proof: ProofHeader<'a>,
        /// The method of the request, which the proof names.
        method: &'a str,
    },
}

impl Provider {
    /// Answers a userinfo request with the access token that it carries.
    pub async fn userinfo(&self, shown: &ShownToken<'_>, origin: Option<&str>) -> Answer<Userinfo> {
        let LiveAccessToken { claims, behind } = match self.live_access_token(shown.token).await {
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
            result: match self
                .check_holder(&behind.client().client, shown, claims.cnf.as_ref())
                .await
            {
                Ok(()) => userinfo(&ScopeSet::parse(&claims.scope), behind),
                Err(failure) => Err(failure),
            },
        }
    }

    /// Whether whoever shows a token has the key that it is bound to, if it is (RFC 9449 sections 7.1 and 7.2).
    async fn check_holder(
        &self,
        client: &Client,
        shown: &ShownToken<'_>,
        bound_to: Option<&Confirmation>,
    ) -> Result<(), Failure> {
        let (header, method, jkt) = match (&shown.scheme, bound_to) {
            (Scheme::Bearer, None) => return Ok(()),
            (Scheme::Bearer, Some(_)) => {
                return Err(invalid("the token is bound to a key, and came as a bearer token"));
            }
            (Scheme::Dpop { .. }, None) => {
                return Err(invalid(
                    "the token is a bearer token, and came by the scheme DPoP",
                ));
            }
            (Scheme::Dpop { proof, method }, Some(Confirmation { jkt })) => (*proof, *method, jkt),
        };
        let at = Shown {
            method,
            endpoint: USERINFO_PATH,
            access_token: Some(shown.token),
        };
        let proof = self.verify_proof(client, header, &at)?.ok_or_else(|| {
            refused(
                ErrorCode::InvalidDpopProof,
                "the scheme DPoP needs a proof in the header DPoP",
            )
        })?;
        if proof.jkt() != jkt {
            return Err(invalid("the token is bound to another key"));
        }
        self.spend_proof(client, &proof).await
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
