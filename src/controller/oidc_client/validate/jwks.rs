//! `spec.jwks`: public keys, checked with the library that will verify with them.

use std::collections::BTreeSet;

use crate::controller::condition::Verdict;
use crate::crd::v1alpha1 as crd;
use crate::oidc::client::{ClientAuthenticationMethod, ServiceAccount};
use crate::oidc::jwk::{Jwk, JwkError, PublicMembers, SignatureAlgorithm};

use super::invalid;

/// As many keys as the schema takes.
const MAX_KEYS: usize = 8;
/// As many characters of a `kid` as the schema takes.
const MAX_KID: usize = 128;

pub(super) fn keys(
    given: Option<&crd::JwkSet>,
    methods: &BTreeSet<ClientAuthenticationMethod>,
    service_accounts: &[ServiceAccount],
) -> Result<Vec<Jwk>, Verdict> {
    let Some(crd::JwkSet { keys }) = given else {
        if methods.contains(&ClientAuthenticationMethod::PrivateKeyJwt) && service_accounts.is_empty() {
            return Err(invalid(
                "spec.jwks",
                "(the public keys of what the app signs with) or spec.serviceAccounts is required with the method \
                 private_key_jwt",
            ));
        }
        return Ok(Vec::new());
    };
    if !(1..=MAX_KEYS).contains(&keys.len()) {
        return Err(invalid("spec.jwks.keys", "must hold 1 to 8 keys"));
    }
    let mut valid: Vec<Jwk> = Vec::with_capacity(keys.len());
    for (index, given) in keys.iter().enumerate() {
        let field = format!("spec.jwks.keys[{index}]");
        let key = key(given).map_err(|why| invalid(&field, &why))?;
        if key.kid.is_some() && valid.iter().any(|other| other.kid == key.kid) {
            return Err(invalid(&field, "has the kid of another"));
        }
        // Which of several made a signature is then known before any of them is tried.
        if key.kid.is_none() && keys.len() > 1 {
            return Err(invalid(
                &field,
                "must have a kid, since there is more than one key",
            ));
        }
        valid.push(key);
    }
    Ok(valid)
}

/// Whether requests must be signed, which needs keys that verify them.
pub(super) fn required(signed: bool, keys: &[Jwk]) -> Result<bool, Verdict> {
    if signed && keys.is_empty() {
        return Err(invalid(
            "spec.requireSignedRequestObject",
            "needs spec.jwks, the keys that verify the requests",
        ));
    }
    Ok(signed)
}

fn key(given: &crd::Jwk) -> Result<Jwk, String> {
    // Destructured without `..`, so that a new member does not compile until it is handled here.
    let crd::Jwk {
        kty,
        kid,
        alg,
        use_,
        n,
        e,
        crv,
        x,
        y,
        d,
    } = given;
    if d.is_some() {
        return Err("must be a public key, without d".to_owned());
    }
    if use_.as_deref().is_some_and(|use_| use_ != "sig") {
        return Err("must have the use sig, or none".to_owned());
    }
    if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
        return Err(format!("must have a kid of at most {MAX_KID} characters"));
    }
    let members = match (kty.as_str(), crv.as_deref(), n, e, x, y) {
        ("RSA", None, Some(n), Some(e), _, _) => PublicMembers::Rsa {
            n: n.clone(),
            e: e.clone(),
        },
        ("EC", Some("P-256"), _, _, Some(x), Some(y)) => PublicMembers::P256 {
            x: x.clone(),
            y: y.clone(),
        },
        ("OKP", Some("Ed25519"), _, _, Some(x), _) => PublicMembers::Ed25519 { x: x.clone() },
        _ => return Err(JwkError::Malformed.to_string()),
    };
    let alg = match alg {
        None => None,
        Some(text) => Some(SignatureAlgorithm::parse(text).ok_or_else(|| JwkError::Algorithm.to_string())?),
    };
    let key = Jwk {
        kid: kid.clone(),
        alg,
        members,
    };
    key.check().map_err(|why| why.to_string())?;
    Ok(key)
}
