//! The token endpoint: a fixed pipeline that every grant type goes through.
//!
//! Authenticate the client; check that it may use the grant type; verify its proof of a key, if it brings one; let the grant
//! produce an [`Authorization`]; apply access and scope policy; spend the proof; mint. A grant returns values and cannot skip
//! a step.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::oidc::access_token::TokenType;
use crate::oidc::audience;
use crate::oidc::client::Client;
use crate::oidc::discovery::TOKEN_PATH;
use crate::oidc::dpop_proof::ProofHeader;
use crate::oidc::error::ErrorCode;
use crate::oidc::grant_type::GrantType;
use crate::oidc::opaque_token::OpaqueToken;
use crate::oidc::parameters::Parameters;

use super::Provider;
use super::answer::{Answer, Failure, refused, refused_because};
use super::audit;
use super::client_request::{ClientRequest, Identified, required};
use super::dpop::{Proven, Shown};
use super::fault::Fault;
use super::grant::{
    Authorization, Holder, Person, authorization_code, client_credentials, device_code, refresh_token,
};

mod mint;

/// The parameters that the endpoint knows beside those by which a client authenticates, and that may come once. `resource` may
/// come more than once (RFC 8707 section 2); others are ignored (RFC 6749 section 3.2).
pub const PARAMETERS: [&str; 7] = [
    "grant_type",
    "code",
    "redirect_uri",
    "code_verifier",
    "refresh_token",
    "device_code",
    "scope",
];

/// What is given out. Holds secrets: no `Debug`.
pub struct TokenResponse {
    /// A JWT (RFC 9068), or an opaque one.
    pub access_token: Zeroizing<String>,
    /// How it is to be shown.
    pub token_type: TokenType,
    /// How long the access token lives.
    pub expires_in: Duration,
    /// The next refresh token, if the client registered that grant type.
    pub refresh_token: Option<OpaqueToken>,
    /// With the scope `openid`, which only a person can give.
    pub id_token: Option<Zeroizing<String>>,
    /// What the access token is good for; empty for a client that acts for itself.
    pub scope: String,
}

impl Provider {
    /// Answers a token request.
    pub async fn token(&self, request: ClientRequest<'_>) -> Answer<TokenResponse> {
        match self.identify(&request, &PARAMETERS).await {
            Ok(Identified {
                client,
                origin_allowed,
            }) => Answer {
                result: self.authorize_and_mint(&client, &request).await,
                origin_allowed,
            },
            Err(failure) => Answer::to_no_origin(failure),
        }
    }

    async fn authorize_and_mint(
        &self,
        client: &Client,
        request: &ClientRequest<'_>,
    ) -> Result<TokenResponse, Failure> {
        let form = request.parameters;
        let grant_type = requested_grant_type(client, form)?;
        let proof = self.proof_for_token(client, request.dpop)?;
        let jkt = proof.as_ref().map(Proven::jkt);
        let (event, authorization) = match grant_type {
            GrantType::AuthorizationCode => (
                "code_redeemed",
                authorization_code::authorize(self, client, form, jkt).await?,
            ),
            GrantType::RefreshToken => (
                "refreshed",
                refresh_token::authorize(self, client, form, jkt).await?,
            ),
            GrantType::DeviceCode => (
                "device_code_redeemed",
                device_code::authorize(self, client, form, jkt).await?,
            ),
            GrantType::ClientCredentials => (
                "client_token_issued",
                client_credentials::authorize(client, form)?,
            ),
        };
        let authorization = self.apply_policy(client, authorization).await?;
        let authorization = self.apply_resources(client, form, authorization).await?;
        if let Some(proof) = &proof {
            self.spend_for_token(client, proof, &authorization).await?;
        }
        let response = self.mint(client, &authorization, jkt).await?;
        let person = authorization.person();
        audit::record(&audit::Event {
            name: event,
            client_id: Some(&client.client_id),
            subject: person.map(|person| &person.user.user.subject),
            grant: person.map(|person| &person.grant.id),
        });
        Ok(TokenResponse {
            refresh_token: authorization.refresh_token,
            ..response
        })
    }

    /// The proof of a token request, which some clients must bring (RFC 9449 sections 5 and 5.2).
    fn proof_for_token(&self, client: &Client, header: ProofHeader<'_>) -> Result<Option<Proven>, Failure> {
        let proof = self.verify_proof(client, header, &Shown::posted_to(TOKEN_PATH))?;
        if proof.is_none() && client.requires_dpop() {
            return Err(refused(
                ErrorCode::InvalidDpopProof,
                "this client is registered for tokens that are bound to a key; send a proof in the header DPoP",
            ));
        }
        Ok(proof)
    }

    /// A proof counts once. It is spent when nothing else is wrong, so that nobody fills the store with proofs alone.
    async fn spend_for_token(
        &self,
        client: &Client,
        proof: &Proven,
        authorization: &Authorization,
    ) -> Result<(), Failure> {
        let spent = self.spend_proof(client, proof).await;
        if let (Err(Failure::Refused(_)), Some(person), Some(_)) =
            (&spent, authorization.person(), &authorization.refresh_token)
        {
            self.end_grant(client, person, "dpop_proof_replayed_grant_revoked")
                .await?;
        }
        spent
    }

    /// Holds the authorization to its grant, and to what may have changed since the person agreed: whom the client admits
    /// (checked at every grant, not at sign-in alone), and what it may ask for.
    async fn apply_policy(
        &self,
        client: &Client,
        mut authorization: Authorization,
    ) -> Result<Authorization, Failure> {
        refuse_what_is_of_another(client, &authorization)?;
        if let Some(person) = authorization.person()
            && !client.access.allows(&person.user.user)
        {
            self.end_grant(client, person, "access_lost_grant_revoked")
                .await?;
            return Err(refused_because(
                ErrorCode::InvalidGrant,
                "the person may not use this client",
                "the client's access rules do not admit this person any more; the grant is revoked",
            ));
        }
        narrow_scope(client, &mut authorization);
        Ok(authorization)
    }

    /// For which resources the token is (RFC 8707 section 2.2): of what the person allowed, or of what the client may ask
    /// for in its own name.
    async fn apply_resources(
        &self,
        client: &Client,
        form: &Parameters,
        mut authorization: Authorization,
    ) -> Result<Authorization, Failure> {
        let requested = audience::requested(form);
        let wanted = match &authorization.holder {
            Holder::Person(person) if requested.is_empty() => &person.grant.resources,
            Holder::Person(_) | Holder::Client => &requested,
        };
        let registered = self.audiences_of(client, wanted).await?;
        authorization.resources = match &authorization.holder {
            Holder::Client => audience::authorize(requested, &registered)?,
            Holder::Person(person) => match audience::narrow(requested, &person.grant.resources, &registered)
            {
                Ok(resources) => resources,
                Err(error) => {
                    self.end_grant(client, person, "grant_revoked").await?;
                    return Err(error.into());
                }
            },
        };
        Ok(authorization)
    }

    /// Ends a grant whose operation has stored a refresh token already, which nobody will ever hold.
    async fn end_grant(&self, client: &Client, person: &Person, event: &'static str) -> Result<(), Fault> {
        self.store
            .revoke_grant(&person.grant.id)
            .await
            .map_err(Fault::store("revoke a grant"))?;
        audit::record(&audit::Event {
            name: event,
            client_id: Some(&client.client_id),
            subject: Some(&person.user.user.subject),
            grant: Some(&person.grant.id),
        });
        Ok(())
    }
}

/// A grant type must redeem nothing that another client was given. Each asks the store so; one that forgot would give a
/// client the tokens of another, and ends here. The grant stays: it is another's.
fn refuse_what_is_of_another(client: &Client, authorization: &Authorization) -> Result<(), Failure> {
    match &authorization.holder {
        Holder::Person(person) if person.grant.client_uid != client.uid => Err(refused_because(
            ErrorCode::InvalidGrant,
            "what was presented is not valid for this client",
            "the grant type took something that was given to another client, which is a fault of claviger",
        )),
        Holder::Person(_) | Holder::Client => Ok(()),
    }
}

/// What the client may ask for by now, and of a person what they allowed.
fn narrow_scope(client: &Client, authorization: &mut Authorization) {
    let allowed = match &authorization.holder {
        Holder::Person(person) => Some(&person.grant.scope),
        Holder::Client => None,
    };
    for bound in std::iter::once(&client.scopes).chain(allowed) {
        if !authorization.scope.is_subset(bound) {
            authorization.scope = authorization.scope.intersection(bound);
        }
    }
}

/// The grant type, if the client may use it.
fn requested_grant_type(client: &Client, form: &Parameters) -> Result<GrantType, Failure> {
    let grant_type = GrantType::parse(required(form, "grant_type")?).ok_or_else(|| {
        refused(
            ErrorCode::UnsupportedGrantType,
            "this grant_type is not supported here",
        )
    })?;
    if client.may_use(grant_type) {
        Ok(grant_type)
    } else {
        Err(refused(
            ErrorCode::UnauthorizedClient,
            "the client did not register this grant_type",
        ))
    }
}

#[cfg(test)]
mod tests;
