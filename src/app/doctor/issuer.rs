//! Whether the issuer is what it says, as an app sees it: its documents are fetched and compared.

use std::path::PathBuf;

use serde_json::Value;
use url::Url;

use super::fetch::Way;
use crate::admin::report::Check;
use crate::oidc::discovery::{CONFIGURATION_PATH, JWKS_PATH};
use crate::oidc::issuer::Issuer;

/// Fetches the discovery document and the JWK Set, by way of `at` (scheme, host and port) if somebody names that, and gives
/// how many keys there are. Trusts the certificates in the file `ca_certificate` too, if it is there.
///
/// # Errors
///
/// A sentence: nobody answers, or the issuer is another one (OpenID Connect Discovery section 4.3), or it shows no key.
pub async fn check(
    issuer: &Issuer,
    at: Option<&Url>,
    ca_certificate: Option<&PathBuf>,
) -> Result<usize, String> {
    // Fails only if one is installed already, which is then the same one.
    let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let way = Way {
        issuer,
        at,
        ca_certificate,
    };
    let document = way.fetch(CONFIGURATION_PATH).await;
    let document = document.map_err(|reason| format!("{reason}; {}", where_to_look(issuer, at)))?;
    names(issuer, &document)?;
    let jwks = way.fetch(JWKS_PATH).await;
    let jwks = jwks.map_err(|reason| format!("unable to fetch the JWK Set: {reason}"))?;
    match kids(&jwks) {
        Some(kids) if !kids.is_empty() => Ok(kids.len()),
        _ => Err(format!("the JWK Set of {issuer} shows no key")),
    }
}

/// What to do where the documents cannot be fetched.
fn where_to_look(issuer: &Issuer, at: Option<&Url>) -> String {
    match at {
        None => format!(
            "look where {} leads from here (its DNS record, the Ingress or Gateway in front), or name another way there with --at",
            issuer.host()
        ),
        Some(at) => format!(
            "look what answers at {}, the place that --at names",
            at.as_str().trim_end_matches('/')
        ),
    }
}

/// Whether apps inside the cluster reach the issuer, whether it names itself, and whether it is this process that answers.
pub(super) async fn examine(issuer: &Issuer, own_jwks: Option<&[u8]>) -> Vec<Check> {
    vec![names_itself(issuer).await, shows_our_keys(issuer, own_jwks).await]
}

async fn names_itself(issuer: &Issuer) -> Check {
    const NAME: &str = "issuer";
    let outside = format!(
        "from outside the cluster: curl -fsS {}, whose issuer must read {issuer}",
        issuer.endpoint(CONFIGURATION_PATH)
    );
    let inside = format!(
        "look where {} leads from inside the cluster (its DNS record, the Service, Ingress or Gateway in front), then {outside}",
        issuer.host()
    );
    let document = match way(issuer).fetch(CONFIGURATION_PATH).await {
        Ok(document) => document,
        Err(reason) => {
            return Check::failed(NAME, format!("{issuer} cannot be used from inside: {reason}"))
                .next(inside);
        }
    };
    match names(issuer, &document) {
        Ok(()) => Check::ok(NAME, format!("{issuer} answers from inside and names itself")).next(outside),
        Err(reason) => Check::failed(NAME, reason).next(inside),
    }
}

/// The way that an app takes.
fn way(issuer: &Issuer) -> Way<'_> {
    Way {
        issuer,
        at: None,
        ca_certificate: None,
    }
}

/// Whether a discovery document is the issuer's, byte for byte.
fn names(issuer: &Issuer, document: &[u8]) -> Result<(), String> {
    let named = serde_json::from_slice::<Value>(document)
        .ok()
        .and_then(|document| Some(document.get("issuer")?.as_str()?.to_owned()));
    match named {
        Some(named) if named == issuer.as_str() => Ok(()),
        Some(named) => Err(format!("{issuer} leads to another issuer, {}", quoted(&named))),
        None => Err(format!("{issuer} leads to something that is no OpenID Provider")),
    }
}

/// What somebody else has written, for a terminal: nothing in it moves the cursor or hides what stands beside it.
fn quoted(text: &str) -> String {
    const MOST_SHOWN: usize = 256;
    let start: String = text.chars().take(MOST_SHOWN).collect();
    let rest = if start.len() < text.len() { "…" } else { "" };
    format!("{}{rest}", start.escape_debug())
}

async fn shows_our_keys(issuer: &Issuer, own: Option<&[u8]>) -> Check {
    const NAME: &str = "published keys";
    let next =
        "another claviger may answer there, or a proxy that keeps the JWK Set for longer than its max-age";
    let Some(own) = own else {
        return Check::failed(NAME, "the keyring is not open");
    };
    match way(issuer).fetch(JWKS_PATH).await {
        Err(reason) => Check::failed(NAME, format!("unable to fetch the JWK Set: {reason}")),
        Ok(shown) if kids(&shown) == kids(own) => {
            Check::ok(NAME, "the issuer shows the keys of this claviger")
        }
        Ok(_) => Check::warning(NAME, "the issuer shows other keys than those of this claviger").next(next),
    }
}

fn kids(jwks: &[u8]) -> Option<Vec<String>> {
    let set: Value = serde_json::from_slice(jwks).ok()?;
    let keys = set.get("keys")?.as_array()?;
    keys.iter()
        .map(|key| key.get("kid")?.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text is a stranger's, and goes to an administrator's terminal.
    #[test]
    fn rule_86_another_issuers_name_is_escaped() {
        let issuer = Issuer::parse("https://id.example.org").unwrap();
        let told = |named: &str| {
            let document = serde_json::json!({ "issuer": named }).to_string();
            names(&issuer, document.as_bytes()).unwrap_err()
        };
        assert!(told("https://other.example.org").ends_with("another issuer, https://other.example.org"));
        let told_of_controls = told("\u{1b}[2J\u{7}\r\nok\u{202e}\u{9b}");
        assert!(
            !told_of_controls
                .chars()
                .any(|c| c.is_control() || c == '\u{202e}')
        );
        assert!(
            told_of_controls.ends_with(r"\u{1b}[2J\u{7}\r\nok\u{202e}\u{9b}"),
            "{told_of_controls}"
        );
        assert!(told(&"x".repeat(100_000)).len() < 400);
    }
}
