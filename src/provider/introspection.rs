//! Introspection (RFC 7662): what a token is good for now, for whoever may know.
//!
//! A confidential client may look at its own tokens, and as a resource server at access tokens that are for it. Everything else about a token that somebody may not look at, that is
//! unknown, expired or ended, is one answer, `inactive` (section 2.2): nothing is told about it. As with
//! [revocation](super::revocation), `token_type_hint` has nothing to add to what a token's text says.

use crate::clock::Timestamp;
use crate::oidc::access_token::Confirmation;
use crate::oidc::audience::Audience;
use crate::oidc::claims;
use crate::oidc::client::Client;
use crate::oidc::error::ErrorCode;
use crate::oidc::identifier::ClientId;
use crate::oidc::opaque_token::{OpaqueToken, TokenKind};
use crate::oidc::parameters::Parameters;
use crate::oidc::scope::{PROFILE, ScopeSet};
use crate::store::Redeemed;

use super::Provider;
use super::access_token::LiveAccessToken;
use super::answer::{Answer, Failure, refused_because};
use super::client_request::{ClientRequest, Identified, required};
use super::fault::Fault;

/// The parameters of the endpoint's own. Others are ignored.
const PARAMETERS: [&str; 2] = ["token", "token_type_hint"];

/// What is known of a token that is good now (section 2.2).
#[derive(Debug, PartialEq, Eq)]
pub struct ActiveToken {
    /// `scope`.
    pub scope: ScopeSet,
    /// `client_id`: whom it was issued to.
    pub client_id: ClientId,
    /// `username`: with the scope `profile`, which gives the name elsewhere too.
    pub username: Option<String>,
    /// `sub`, as in the token itself.
    pub subject: String,
    /// `iat`.
    pub issued_at: Option<Timestamp>,
    /// `exp`.
    pub expires_at: Timestamp,
    /// What only access tokens have.
    pub access_token: Option<AccessTokenDetails>,
}

/// What only access tokens have.
#[derive(Debug, PartialEq, Eq)]
pub struct AccessTokenDetails {
    /// `aud`.
    pub audience: Audience,
    /// `auth_time`, in seconds, where there is a person.
    pub auth_time: Option<i64>,
    /// `groups`, with the scope of that name: the person's of now.
    pub groups: Option<Vec<String>>,
    /// `jti`.
    pub jti: String,
    /// `cnf`: the key that it is bound to (RFC 9449 section 6.2).
    pub cnf: Option<Confirmation>,
}

impl Provider {
    /// What a token is good for, `None` where that is nothing or nothing that the client may know.
    pub async fn introspect(&self, request: ClientRequest<'_>) -> Answer<Option<ActiveToken>> {
        // Only servers introspect, so no script of any origin reads the answer.
        let client = match self.identify(&request, &PARAMETERS).await {
            Ok(Identified { client, .. }) => client,
            Err(failure) => return Answer::to_no_origin(failure),
        };
        Answer {
            result: self.look_at(&client, request.parameters).await,
            origin_allowed: false,
        }
    }

    async fn look_at(&self, client: &Client, form: &Parameters) -> Result<Option<ActiveToken>, Failure> {
        // Section 2.1: whoever asks must be authorized, or the endpoint would try out tokens for anybody.
        if client.is_public() {
            return Err(refused_because(
                ErrorCode::InvalidClient,
                "client authentication failed",
                "a public client may not introspect tokens",
            ));
        }
        let token = required(form, "token")?;
        if let Some(token) = OpaqueToken::parse(TokenKind::RefreshToken, token) {
            return Ok(self.look_at_refresh_token(client, &token).await?);
        }
        match self.live_access_token(token).await {
            Ok(token) if token.behind.refuse_unless_admitted().is_err() => Ok(None),
            Ok(token) => Ok(active_access_token(client, token)),
            Err(Failure::Refused(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn look_at_refresh_token(
        &self,
        client: &Client,
        token: &OpaqueToken,
    ) -> Result<Option<ActiveToken>, Fault> {
        let found = self
            .store
            .refresh_token(&token.hash())
            .await
            .map_err(Fault::store("look up a refresh token"))?;
        let Some((token, grant)) = found else {
            return Ok(None);
        };
        if grant.client_uid != client.uid || token.spent_at.is_some() {
            return Ok(None);
        }
        let live = self
            .store
            .live_grant(&grant.id)
            .await
            .map_err(Fault::store("look up a grant"))?;
        Ok(live.filter(Redeemed::is_admitted).map(|live| ActiveToken {
            username: username(&live.grant.scope, &live),
            subject: live.grant.sub().as_str().to_owned(),
            client_id: live.grant.client_id,
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            access_token: None,
            scope: live.grant.scope,
        }))
    }
}

fn active_access_token(client: &Client, token: LiveAccessToken) -> Option<ActiveToken> {
    let LiveAccessToken { claims, behind } = token;
    let is_for_it = |resource: &String| claims.aud.contains(resource);
    if *behind.client_uid() != client.uid && !client.resource_identifiers.iter().any(is_for_it) {
        return None;
    }
    let second = |second| Timestamp::from_second(second).ok();
    let scope = ScopeSet::parse(&claims.scope);
    Some(ActiveToken {
        username: behind.person().and_then(|live| username(&scope, live)),
        client_id: behind.client_id().clone(),
        subject: claims.sub.into_owned(),
        issued_at: second(claims.iat),
        expires_at: second(claims.exp)?,
        access_token: Some(AccessTokenDetails {
            groups: behind
                .person()
                .and_then(|live| claims::groups(&live.user.user, &scope))
                .map(<[String]>::to_vec),
            audience: claims.aud,
            auth_time: claims.auth_time,
            jti: claims.jti.into_owned(),
            cnf: claims.cnf,
        }),
        scope,
    })
}

fn username(scope: &ScopeSet, live: &Redeemed) -> Option<String> {
    scope.contains(PROFILE).then(|| live.user.user.username.clone())
}
