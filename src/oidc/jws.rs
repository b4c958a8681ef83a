//! JWS in compact form (RFC 7515 section 7.1): read, and verified with the registered keys of a client. Everything that a
//! client signs comes through [`verify`]; what we signed ourselves is the keyring's.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::client::Client;
use super::jwk::{Jwk, SignatureAlgorithm};

/// What is longer is not read: longer than any token of ours or for us.
pub const MAX_BYTES: usize = 16 * 1024;

/// How far ahead another clock may be, in seconds.
pub const MAX_AHEAD: i64 = 30;

/// Why something is no JWS that counts: a sentence about it, for the log or for whoever made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected(pub &'static str);

/// What is read of a JOSE header. `jku`, `jwk`, `x5u` and `x5c` are not among it: a token must not bring the key that
/// verifies it (RFC 8725 section 3.10). The one kind that must, and proves nothing else than having it, reads its header
/// by [`Jws::header_as`].
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
    encoded_header: &'a str,
    claims: &'a str,
}

impl<'a> Jws<'a> {
    /// Reads three parts and the header.
    pub fn parse(token: &'a str) -> Result<Self, Rejected> {
        if token.len() > MAX_BYTES {
            return Err(Rejected("it is too long"));
        }
        let (input, signature) = token.rsplit_once('.').ok_or(Rejected("it is not a JWS"))?;
        let (encoded_header, claims) = input.split_once('.').ok_or(Rejected("it is not a JWS"))?;
        if claims.contains('.') {
            return Err(Rejected("it is not a JWS"));
        }
        let header: Header = json(encoded_header).ok_or(Rejected("its header is malformed"))?;
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
            encoded_header,
            claims,
        })
    }

    /// Other members of the header than [`Header`] has.
    pub fn header_as<H: DeserializeOwned>(&self) -> Result<H, Rejected> {
        json(self.encoded_header).ok_or(Rejected("its header is malformed"))
    }

    /// The claims; asked for once the signature is known to be right.
    pub fn claims<C: DeserializeOwned>(&self) -> Result<C, Rejected> {
        json(self.claims).ok_or(Rejected("its claims are malformed"))
    }
}

/// When a JWT is good (RFC 7519 section 4.1), in whole seconds: any other type does not deserialise.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Times {
    /// It is not good from then on.
    pub exp: Option<i64>,
    /// It is not good before.
    pub nbf: Option<i64>,
    /// It was made then.
    pub iat: Option<i64>,
}

impl Times {
    /// `exp`, which there must be: it is not over, and at most `longest` seconds ahead, or the JWT is `too_long`. It has no
    /// grace; what may be half a minute ahead for clocks that differ are the other times.
    pub fn check(self, now: i64, longest: i64, too_long: Rejected) -> Result<i64, Rejected> {
        let exp = self.exp.ok_or(Rejected("it has no exp"))?;
        self.check_present(now)?;
        if exp.saturating_sub(now) > longest.saturating_add(MAX_AHEAD) {
            return Err(too_long);
        }
        Ok(exp)
    }

    /// Those that there are.
    pub fn check_present(self, now: i64) -> Result<(), Rejected> {
        if self.exp.is_some_and(|exp| exp <= now) {
            return Err(Rejected("it has expired"));
        }
        if self.begins().any(|begin| is_ahead(begin, now)) {
            return Err(Rejected("its nbf or iat is in the future"));
        }
        Ok(())
    }

    /// From when on it is good, by each of those that say so.
    pub fn begins(self) -> impl Iterator<Item = i64> {
        [self.nbf, self.iat].into_iter().flatten()
    }
}

/// Whether a time is in the future, whatever clock is meant.
pub fn is_ahead(time: i64, now: i64) -> bool {
    time > now.saturating_add(MAX_AHEAD)
}

/// The claims of what `client` signed with one of its registered keys, whose header names one of `types` or none. Says nothing
/// about the claims themselves.
pub fn verify<C: DeserializeOwned>(token: &str, client: &Client, types: &[&str]) -> Result<C, Rejected> {
    verify_by(token, &client.jwks, client.signature_algorithms(), types)
}

/// The same of what anybody signed who has one of `keys`, by one of `algorithms`.
pub fn verify_by<C: DeserializeOwned>(
    token: &str,
    keys: &[Jwk],
    algorithms: &[SignatureAlgorithm],
    types: &[&str],
) -> Result<C, Rejected> {
    let jws = Jws::parse(token)?;
    if jws.header.typ.is_some() && !types.iter().any(|wanted| jws.header.is_type(wanted)) {
        return Err(Rejected("its typ is another"));
    }
    // `none` and the symmetric algorithms are not among them.
    let algorithm = SignatureAlgorithm::parse(&jws.header.alg)
        .filter(|algorithm| algorithms.contains(algorithm))
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
