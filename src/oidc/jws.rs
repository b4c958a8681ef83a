//! JWS in compact form (RFC 7515 section 7.1): read, and verified with the registered keys of a client. Everything that a
//! client signs comes through [`verify`]; what we signed ourselves is the keyring's.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::jwk::{Jwk, SignatureAlgorithm};

/// What is longer is not read: longer than any token of ours or for us.
pub const MAX_BYTES: usize = 16 * 1024;

/// Why something is no JWS that counts: a sentence about it, for the log or for whoever made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected(pub &'static str);

/// What is read of a JOSE header. `jku`, `jwk`, `x5u` and `x5c` are not among it: a token must not bring the key that
/// verifies it (RFC 8725 section 3.10).
#[derive(Deserialize)]
pub struct Header {
    /// The algorithm, which must be one of the key's.
    pub alg: String,
    /// The media type.
    #[serde(default)]
    pub typ: Option<String>,
    /// Which key: a name to look up, and nothing else.
    #[serde(default)]
    pub kid: Option<String>,
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

impl Header {
    /// Whether it says that this is the type (RFC 7515 section 4.1.9): compared without case, and `application/` may be left
    /// out.
    pub fn is_type(&self, wanted: &str) -> bool {
        const APPLICATION: &str = "application/";
        self.typ.as_deref().is_some_and(|found| {
            let short = match found.get(..APPLICATION.len()) {
                Some(start) if start.eq_ignore_ascii_case(APPLICATION) => &found[APPLICATION.len()..],
                _ => found,
            };
            short.eq_ignore_ascii_case(wanted)
        })
    }
}

/// A JWS that can be read. Nothing of it is to be believed before its signature was verified.
pub struct Jws<'a> {
    /// The header.
    pub header: Header,
    /// What is signed.
    pub input: &'a str,
    /// The signature.
    pub signature: Vec<u8>,
    claims: &'a str,
}

impl<'a> Jws<'a> {
    /// Reads three parts and the header.
    pub fn parse(token: &'a str) -> Result<Self, Rejected> {
        if token.len() > MAX_BYTES {
            return Err(Rejected("it is too long"));
        }
        let (input, signature) = token.rsplit_once('.').ok_or(Rejected("it is not a JWS"))?;
        let (header, claims) = input.split_once('.').ok_or(Rejected("it is not a JWS"))?;
        if claims.contains('.') {
            return Err(Rejected("it is not a JWS"));
        }
        let header: Header = json(header).ok_or(Rejected("its header is malformed"))?;
        // RFC 7515 section 4.1.11: an extension that is not understood makes the token invalid, and we understand none.
        if header.crit.is_some() {
            return Err(Rejected("its header has crit"));
        }
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| Rejected("its signature is malformed"))?;
        Ok(Self {
            header,
            input,
            signature,
            claims,
        })
    }

    /// The claims; asked for once the signature is known to be right.
    pub fn claims<C: DeserializeOwned>(&self) -> Result<C, Rejected> {
        json(self.claims).ok_or(Rejected("its claims are malformed"))
    }
}

/// The claims of what one of `keys` signed, whose header names one of `types` or none. Says nothing about the claims
/// themselves.
pub fn verify<C: DeserializeOwned>(token: &str, keys: &[Jwk], types: &[&str]) -> Result<C, Rejected> {
    let jws = Jws::parse(token)?;
    if jws.header.typ.is_some() && !types.iter().any(|wanted| jws.header.is_type(wanted)) {
        return Err(Rejected("its typ is another"));
    }
    // `none` and the symmetric algorithms are not among them.
    let algorithm = SignatureAlgorithm::parse(&jws.header.alg)
        .ok_or(Rejected("its alg is none of those that are accepted"))?;
    let named = |key: &&Jwk| jws.header.kid.is_none() || key.kid == jws.header.kid;
    let mut candidates = keys.iter().filter(named).peekable();
    if candidates.peek().is_none() {
        return Err(Rejected("no registered key has its kid"));
    }
    if !candidates.any(|key| key.verifies(algorithm, jws.input.as_bytes(), &jws.signature)) {
        return Err(Rejected("no registered key of its alg has made its signature"));
    }
    jws.claims()
}

fn json<T: DeserializeOwned>(encoded: &str) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    serde_json::from_slice(&bytes).ok()
}
