//! The last step of the pipeline: access token and ID token.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::clock::{Timestamp, later};
use crate::keyring::SigningAlgorithm;
use crate::oidc::access_token::{self, AccessTokenClaims};
use crate::oidc::claims;
use crate::oidc::client::Client;
use crate::oidc::id_token::{self, IdTokenClaims};
use crate::oidc::scope::OPENID;
use crate::provider::Provider;
use crate::provider::answer::Failure;
use crate::provider::fault::Fault;
use crate::provider::grant::Authorization;
use crate::random;

use super::TokenResponse;

impl Provider {
    /// Mints what `authorization` allows; the refresh token, which is stored already, is not part of it.
    pub(super) fn mint(
        &self,
        client: &Client,
        authorization: &Authorization,
    ) -> Result<TokenResponse, Failure> {
        let now = self.clock.now();
        let Authorization {
            grant, user, scope, ..
        } = authorization;
        // A token that outlives its grant would be good at resource servers and dead here.
        let access_expires_at = later(now, client.lifetimes.access_token).min(grant.expires_at);
        let scope_text = scope.to_string();
        let unique = URL_SAFE_NO_PAD.encode(random::bytes::<16>(&*self.random));
        let access_token = self
            .keyring
            .current()
            .sign(
                SigningAlgorithm::Es256,
                access_token::TYP,
                &AccessTokenClaims {
                    iss: self.issuer.as_str().into(),
                    sub: user.user.subject.as_str().into(),
                    aud: self.issuer.as_str().into(),
                    exp: access_expires_at.as_second(),
                    iat: now.as_second(),
                    jti: access_token::jti(&grant.id, &unique).into(),
                    client_id: client.client_id.as_str().into(),
                    scope: scope_text.as_str().into(),
                },
                now,
            )
            .map_err(Fault::keyring("sign an access token"))?;
        let id_token = if scope.contains(OPENID) {
            Some(self.mint_id_token(client, authorization, now)?)
        } else {
            None
        };
        let lifetime = access_expires_at.as_second().saturating_sub(now.as_second());
        Ok(TokenResponse {
            access_token: Zeroizing::new(access_token),
            expires_in: Duration::from_secs(lifetime.try_into().unwrap_or(0)),
            refresh_token: None,
            id_token,
            scope: scope_text,
        })
    }

    fn mint_id_token(
        &self,
        client: &Client,
        authorization: &Authorization,
        now: Timestamp,
    ) -> Result<Zeroizing<String>, Failure> {
        let Authorization {
            grant,
            user,
            scope,
            nonce,
            ..
        } = authorization;
        let claims = IdTokenClaims {
            iss: self.issuer.as_str(),
            sub: user.user.subject.as_str(),
            aud: client.client_id.as_str(),
            exp: later(now, client.lifetimes.id_token).as_second(),
            iat: now.as_second(),
            auth_time: grant
                .auth_time_requested
                .then(|| grant.authentication.at.as_second()),
            nonce: nonce.as_deref(),
            groups: claims::groups(&user.user, scope),
        };
        let token = self
            .keyring
            .current()
            .sign(SigningAlgorithm::Rs256, id_token::TYP, &claims, now)
            .map_err(Fault::keyring("sign an ID token"))?;
        Ok(Zeroizing::new(token))
    }
}
