//! Verification of tokens that this keyring signed. What decides is the key; the header only names it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::TokenRejected;
use super::signing_key::SigningKey;

/// Longer than any token of ours.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// What is read of a JOSE header. `jku`, `jwk`, `x5u` and `x5c` are not among it: a token must not bring the key that
/// verifies it (RFC 8725 section 3.10).
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

pub(super) fn verify<C: DeserializeOwned>(
    keys: &[SigningKey],
    token: &str,
    typ: &str,
) -> Result<C, TokenRejected> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenRejected("it is too long"));
    }
    let (input, signature) = token.rsplit_once('.').ok_or(TokenRejected("it is not a JWS"))?;
    let (header, claims) = input.split_once('.').ok_or(TokenRejected("it is not a JWS"))?;
    if claims.contains('.') {
        return Err(TokenRejected("it is not a JWS"));
    }
    let header: Header = json(header).ok_or(TokenRejected("its header is malformed"))?;
    // RFC 7515 section 4.1.11: an extension that is not understood makes the token invalid, and we understand none.
    if header.crit.is_some() {
        return Err(TokenRejected("its header has crit"));
    }
    let kid = header.kid.ok_or(TokenRejected("its header has no kid"))?;
    let key = keys
        .iter()
        .find(|key| key.kid() == kid)
        .ok_or(TokenRejected("its kid is not one of ours"))?;
    // RFC 8725 section 3.1: the key says which algorithm; a header that says otherwise (`none`, HS256) is refused.
    if header.alg != key.algorithm().name() {
        return Err(TokenRejected("its alg is not the key's"));
    }
    if !header.typ.is_some_and(|found| is_type(&found, typ)) {
        return Err(TokenRejected("its typ is another"));
    }
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| TokenRejected("its signature is malformed"))?;
    if !key.verifies(input, &signature) {
        return Err(TokenRejected("its signature is wrong"));
    }
    json(claims).ok_or(TokenRejected("its claims are malformed"))
}

/// RFC 7515 section 4.1.9: a media type, compared without case, whose `application/` may be left out.
fn is_type(found: &str, wanted: &str) -> bool {
    const APPLICATION: &str = "application/";
    let short = match found.get(..APPLICATION.len()) {
        Some(start) if start.eq_ignore_ascii_case(APPLICATION) => &found[APPLICATION.len()..],
        _ => found,
    };
    short.eq_ignore_ascii_case(wanted)
}

fn json<T: DeserializeOwned>(encoded: &str) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    serde_json::from_slice(&bytes).ok()
}
