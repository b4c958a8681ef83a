//! Verification of tokens that this keyring signed. What decides is the key; the header only names it.

use serde::de::DeserializeOwned;

use super::TokenRejected;
use super::signing_key::SigningKey;
use crate::oidc::jws::{Jws, Rejected};

impl From<Rejected> for TokenRejected {
    // Not a blanket conversion that loses the step: the sentence says it already.
    fn from(Rejected(reason): Rejected) -> Self {
        Self(reason)
    }
}

pub(super) fn verify<C: DeserializeOwned>(
    keys: &[SigningKey],
    token: &str,
    typ: &str,
) -> Result<C, TokenRejected> {
    let jws = Jws::parse(token)?;
    let kid = jws
        .header
        .kid
        .as_deref()
        .ok_or(TokenRejected("its header has no kid"))?;
    let key = keys
        .iter()
        .find(|key| key.kid() == kid)
        .ok_or(TokenRejected("its kid is not one of ours"))?;
    // RFC 8725 section 3.1: the key says which algorithm; a header that says otherwise (`none`, HS256) is refused.
    if jws.header.alg != key.algorithm().name() {
        return Err(TokenRejected("its alg is not the key's"));
    }
    if !jws.header.is_type(typ) {
        return Err(TokenRejected("its typ is another"));
    }
    if !key.verifies(jws.input, &jws.signature) {
        return Err(TokenRejected("its signature is wrong"));
    }
    Ok(jws.claims()?)
}
