//! Access tokens that come back: which are good now, and what they stand for.

use crate::oidc::access_token::{self, AccessTokenClaims, Basis};
use crate::oidc::error::ErrorCode;
use crate::oidc::identifier::{ClientId, ResourceUid};
use crate::oidc::opaque_token::{OpaqueToken, TokenHash, TokenKind};
use crate::store::Redeemed;
use crate::store::records::ClientRecord;

use super::Provider;
use super::answer::{Failure, refused_because};
use super::fault::Fault;

/// An access token that is good now.
pub(super) struct LiveAccessToken {
    pub(super) claims: AccessTokenClaims<'static>,
    pub(super) behind: Behind,
}

/// What an access token hangs on, as it stands now.
pub(super) enum Behind {
    /// A grant, and the person who gave it.
    Person(Box<Redeemed>),
    /// A client that acts for itself.
    Client(Box<ClientRecord>),
}

impl Behind {
    /// Refuses a token of a person whom the client's access rules do not admit any more: what they are told about is nobody's
    /// who uses that app. Whoever ends tokens does not ask, so that such a token can still be ended.
    pub(super) fn refuse_unless_admitted(&self) -> Result<(), Failure> {
        match self {
            Self::Person(live) if !live.is_admitted() => Err(invalid(
                "the client's access rules do not admit this person any more",
            )),
            Self::Person(_) | Self::Client(_) => Ok(()),
        }
    }

    /// The client that it was issued to.
    pub(super) fn client_uid(&self) -> &ResourceUid {
        match self {
            Self::Person(live) => &live.grant.client_uid,
            Self::Client(record) => &record.client.uid,
        }
    }

    /// The same, as registered now.
    pub(super) fn client(&self) -> &ClientRecord {
        match self {
            Self::Person(live) => &live.client,
            Self::Client(record) => record,
        }
    }

    /// The person, if there is one.
    pub(super) fn person(&self) -> Option<&Redeemed> {
        match self {
            Self::Person(live) => Some(live),
            Self::Client(_) => None,
        }
    }

    /// The id of that client.
    pub(super) fn client_id(&self) -> &ClientId {
        match self {
            Self::Person(live) => &live.grant.client_id,
            Self::Client(record) => &record.client.client_id,
        }
    }
}

impl Provider {
    /// Reads an access token of ours, for whatever audience. Whatever keeps it from being good is the refusal
    /// `invalid_token`, whose reason is for the log.
    pub(super) async fn live_access_token(&self, token: &str) -> Result<LiveAccessToken, Failure> {
        self.require_provisioned().await?;
        let claims = self.access_token_claims(token).await?;
        if claims.iss != self.issuer.as_str() {
            return Err(invalid("the token is of another issuer"));
        }
        if claims.exp <= self.clock.now().as_second() {
            return Err(invalid("the token expired"));
        }
        let behind = match access_token::basis_of(&claims.jti) {
            Some(Basis::Grant(grant)) => self
                .store
                .live_grant(&grant)
                .await
                .map_err(Fault::store("look up a grant"))?
                .map(|live| Behind::Person(Box::new(live)))
                .ok_or_else(|| invalid("the grant ended, or its client, user or session did"))?,
            Some(Basis::Client(uid)) => self
                .store
                .client_of_access_token(&uid, &TokenHash::of(claims.jti.as_bytes()))
                .await
                .map_err(Fault::store("look up the client of an access token"))?
                .map(|record| Behind::Client(Box::new(record)))
                .ok_or_else(|| invalid("the token was revoked, or its client ended"))?,
            None => return Err(invalid("jti names nothing that the token could hang on")),
        };
        Ok(LiveAccessToken { claims, behind })
    }

    /// What a JWT says, or what an opaque token was stored with.
    async fn access_token_claims(&self, token: &str) -> Result<AccessTokenClaims<'static>, Failure> {
        let Some(token) = OpaqueToken::parse(TokenKind::AccessToken, token) else {
            return self
                .keyring
                .current()
                .verify(token, access_token::TYP)
                .map_err(|rejected| invalid(rejected.0));
        };
        self.store
            .access_token(&token.hash())
            .await
            .map_err(Fault::store("look up an access token"))?
            .map(|record| record.claims)
            .ok_or_else(|| invalid("no such token, or it expired"))
    }
}

pub(super) fn invalid(reason: &'static str) -> Failure {
    refused_because(ErrorCode::InvalidToken, "the access token is not valid", reason)
}
