//! `spec.tokens`: how long what a client is given lives, what it looks like, and how it is signed.

use std::time::Duration;

use crate::controller::condition::Verdict;
use crate::crd::v1alpha1::{self as crd, DurationText};
use crate::oidc::client::{AccessTokenFormat, LONGEST_SIGNED_LIFETIME, TokenLifetimes, TokenSigning};
use crate::oidc::signing_algorithm::SigningAlgorithm;

use super::{duration, invalid};

pub(super) fn format(tokens: Option<&crd::Tokens>) -> AccessTokenFormat {
    match tokens.and_then(|tokens| tokens.access_token_format) {
        None | Some(crd::AccessTokenFormat::Jwt) => AccessTokenFormat::Jwt,
        Some(crd::AccessTokenFormat::Opaque) => AccessTokenFormat::Opaque,
    }
}

pub(super) fn lifetimes(tokens: Option<&crd::Tokens>) -> Result<TokenLifetimes, Verdict> {
    let default = TokenLifetimes::default();
    let Some(crd::Tokens {
        access_token_lifetime,
        access_token_format: _,
        id_token_lifetime,
        refresh_token_idle_lifetime,
        refresh_token_lifetime,
        // What `signing` reads.
        id_token_signed_response_alg: _,
        access_token_signing_alg: _,
    }) = tokens
    else {
        return Ok(default);
    };
    Ok(TokenLifetimes {
        access_token: lifetime(
            "spec.tokens.accessTokenLifetime",
            access_token_lifetime.as_ref(),
            default.access_token,
            Some(LONGEST_SIGNED_LIFETIME),
        )?,
        id_token: lifetime(
            "spec.tokens.idTokenLifetime",
            id_token_lifetime.as_ref(),
            default.id_token,
            Some(LONGEST_SIGNED_LIFETIME),
        )?,
        refresh_token_idle: lifetime(
            "spec.tokens.refreshTokenIdleLifetime",
            refresh_token_idle_lifetime.as_ref(),
            default.refresh_token_idle,
            None,
        )?,
        refresh_token: lifetime(
            "spec.tokens.refreshTokenLifetime",
            refresh_token_lifetime.as_ref(),
            default.refresh_token,
            None,
        )?,
    })
}

fn lifetime(
    field: &str,
    given: Option<&DurationText>,
    default: Duration,
    longest: Option<Duration>,
) -> Result<Duration, Verdict> {
    let Some(text) = given else { return Ok(default) };
    match duration(field, text)? {
        Duration::ZERO => Err(invalid(field, "must be longer than 0")),
        lifetime if longest.is_some_and(|longest| longest < lifetime) => Err(invalid(
            field,
            "must be at most 24h: nobody can call such a token back, and the key that signed it is kept as long; let the app \
             refresh instead, for refreshTokenLifetime",
        )),
        lifetime => Ok(lifetime),
    }
}

pub(super) fn signing(tokens: &crd::Tokens) -> TokenSigning {
    let default = TokenSigning::default();
    let algorithm = |given: crd::SigningAlgorithm| match given {
        crd::SigningAlgorithm::Rs256 => SigningAlgorithm::Rs256,
        crd::SigningAlgorithm::Es256 => SigningAlgorithm::Es256,
        crd::SigningAlgorithm::Ps256 => SigningAlgorithm::Ps256,
        crd::SigningAlgorithm::EdDsa => SigningAlgorithm::EdDsa,
    };
    TokenSigning {
        id_token: tokens
            .id_token_signed_response_alg
            .map_or(default.id_token, algorithm),
        access_token: tokens
            .access_token_signing_alg
            .map_or(default.access_token, algorithm),
    }
}
