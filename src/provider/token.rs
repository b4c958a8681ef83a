//! The token endpoint: a fixed pipeline that every grant type goes through.
//!
//! Authenticate the client; check that it may use the grant type; let the grant produce an [`Authorization`]; apply access
//! and scope policy; mint. A grant returns values and cannot skip a step.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::oidc::audience;
use crate::oidc::client::Client;
use crate::oidc::error::ErrorCode;
use crate::oidc::grant_type::GrantType;
use crate::oidc::opaque_token::OpaqueToken;
use crate::oidc::parameters::Parameters;

use super::Provider;
use super::answer::{Answer, Failure, refused, refused_because};
use super::audit;
use super::client_request::{ClientRequest, Identified, required};
use super::fault::Fault;
use super::grant::{
    Authorization, Person, authorization_code, client_credentials, device_code, refresh_token,
};

mod mint;

/// The parameters that the endpoint knows and that may come once. `resource` may come more than once (RFC 8707 section 2);
/// others are ignored (RFC 6749 section 3.2).
const PARAMETERS: [&str; 11] = [
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
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
                result: self.authorize_and_mint(&client, request.parameters).await,
                origin_allowed,
            },
            Err(failure) => Answer::to_no_origin(failure),
        }
    }

    async fn authorize_and_mint(&self, client: &Client, form: &Parameters) -> Result<TokenResponse, Failure> {
        let (event, authorization) = match requested_grant_type(client, form)? {
            GrantType::AuthorizationCode => (
                "code_redeemed",
                authorization_code::authorize(self, client, form).await?,
            ),
            GrantType::RefreshToken => ("refreshed", refresh_token::authorize(self, client, form).await?),
            GrantType::DeviceCode => (
                "device_code_redeemed",
                device_code::authorize(self, client, form).await?,
            ),
            GrantType::ClientCredentials => (
                "client_token_issued",
                client_credentials::authorize(client, form)?,
            ),
        };
        let authorization = self.apply_policy(client, authorization).await?;
        let authorization = self.apply_resources(client, form, authorization).await?;
        let response = self.mint(client, &authorization).await?;
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

    /// What may have changed since the person agreed: whom the client admits (checked at every grant, not at sign-in
    /// alone), and what it may ask for.
    async fn apply_policy(
        &self,
        client: &Client,
        mut authorization: Authorization,
    ) -> Result<Authorization, Failure> {
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
        if !authorization.scope.is_subset(&client.scopes) {
            authorization.scope = authorization.scope.intersection(&client.scopes);
        }
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
        let wanted = match authorization.person() {
            Some(person) if requested.is_empty() => &person.grant.resources,
            _ => &requested,
        };
        let registered = self.audiences_of(client, wanted).await?;
        authorization.resources = match authorization.person() {
            None => audience::authorize(requested, &registered)?,
            Some(person) => match audience::narrow(requested, &person.grant.resources, &registered) {
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

/// The grant type, if the client may use it.
fn requested_grant_type(client: &Client, form: &Parameters) -> Result<GrantType, Failure> {
    let grant_type = GrantType::parse(required(form, "grant_type")?).ok_or_else(|| {
        refused(
            ErrorCode::UnsupportedGrantType,
            "this grant_type is not supported here",
        )
    })?;
    if client.grant_types.contains(&grant_type) {
        Ok(grant_type)
    } else {
        Err(refused(
            ErrorCode::UnauthorizedClient,
            "the client did not register this grant_type",
        ))
    }
}
