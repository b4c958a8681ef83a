//! Whether an answer is right, so that nobody is quick by answering wrong.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use serde_json::Value;
use testbed::relying_party::{Tokens, id_token};

use super::provider::Provider;

/// Of every token, seconds.
const LIFETIME: u64 = 600;
const TOLERANCE: u64 = 5;

pub(crate) struct Check<'a>(pub(crate) &'a Provider);

impl Check<'_> {
    /// Signature, issuer, audience, lifetime and client.
    pub(crate) fn access_token(&self, token: &str, client_id: &str) -> Result<()> {
        let expected = id_token::Expected {
            issuer: &self.0.endpoints.issuer,
            client_id: self.0.audience(client_id),
            nonce: None,
            access_token: "",
        };
        let claims = id_token::verify(token, &self.0.keys, &expected).context("the access token")?;
        is_signed_alike(token)?;
        lives_as_long(&claims)?;
        let named = [&claims["client_id"], &claims["azp"]];
        anyhow::ensure!(
            named.iter().any(|name| *name == client_id),
            "the access token is of another client: {claims}"
        );
        Ok(())
    }

    /// Both tokens; the ID token also by its nonce and, where it has one, `at_hash`.
    pub(crate) fn tokens(&self, tokens: &Tokens, client_id: &str, nonce: Option<&str>) -> Result<()> {
        // An opaque one can only be asked about.
        if tokens.access_token.matches('.').count() == 2 {
            self.access_token(&tokens.access_token, client_id)?;
        }
        // A busy Keycloak counts from when it answers.
        let difference = tokens.expires_in.abs_diff(LIFETIME);
        anyhow::ensure!(difference <= TOLERANCE, "expires_in {}", tokens.expires_in);
        let token = tokens.id_token.as_deref().context("no ID token")?;
        let expected = id_token::Expected {
            issuer: &self.0.endpoints.issuer,
            client_id,
            nonce,
            access_token: &tokens.access_token,
        };
        is_signed_alike(token)?;
        lives_as_long(&id_token::verify(token, &self.0.keys, &expected)?)
    }

    pub(crate) fn introspection(&self, answer: &Value, client_id: &str) -> Result<()> {
        let same = answer["client_id"] == client_id && answer["iss"] == self.0.endpoints.issuer.as_str();
        anyhow::ensure!(same && answer["sub"].is_string(), "odd introspection: {answer}");
        lives_as_long(answer)
    }

    pub(crate) fn userinfo(answer: &Value) -> Result<()> {
        let same = answer["email"] == "ada@example.org" && answer["email_verified"] == true;
        anyhow::ensure!(same && answer["sub"].is_string(), "odd userinfo: {answer}");
        Ok(())
    }

    pub(crate) fn jwks(&self, body: &[u8]) -> Result<()> {
        let keys: JwkSet = serde_json::from_slice(body)?;
        anyhow::ensure!(keys == self.0.keys, "other keys than before");
        Ok(())
    }

    /// The names of a JWT's claims in order.
    pub(crate) fn claim_names(token: &str) -> Result<String> {
        let claims: Value = part(token, 1)?;
        let names = claims.as_object().context("claims are no object")?.keys();
        let mut names: Vec<&str> = names.map(String::as_str).collect();
        names.sort_unstable();
        Ok(names.join(" "))
    }
}

fn part(token: &str, number: usize) -> Result<Value> {
    let part = token.split('.').nth(number).context("not a JWT")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part)?)?)
}

fn is_signed_alike(token: &str) -> Result<()> {
    let header = part(token, 0)?;
    anyhow::ensure!(header["alg"] == "ES256", "signed by {}", header["alg"]);
    Ok(())
}

fn lives_as_long(claims: &Value) -> Result<()> {
    let lifetime = claims["exp"].as_u64().zip(claims["iat"].as_u64());
    let lifetime = lifetime.map(|(end, begin)| end.saturating_sub(begin));
    let alike = lifetime.is_some_and(|lifetime| lifetime.abs_diff(LIFETIME) <= TOLERANCE);
    anyhow::ensure!(alike, "another lifetime: {claims}");
    Ok(())
}
