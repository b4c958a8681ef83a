//! Rules about text in a resource, the same as the schema's.

use url::{Host, Url};

use crate::oidc::issuer::is_loopback;

/// Text that people read: no control characters, and no marks that turn the direction of text.
pub(super) fn shown(text: &str, longest: usize) -> Result<(), &'static str> {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.is_empty() {
        Err("must not be empty")
    } else if text.chars().count() > longest {
        Err("is too long")
    } else if text.chars().any(|c| c.is_control() || turns(c)) {
        Err("must not hold control characters or marks that turn the direction of text")
    } else {
        Ok(())
    }
}

/// A redirect URI as it may be registered (RFC 6749 section 3.1.2, RFC 8252 sections 7.1 to 7.3, RFC 9700 section 2.1).
pub(super) fn redirect_uri(text: &str) -> Result<(), &'static str> {
    if text.len() > 2048 {
        return Err("must be at most 2048 characters long");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be printable ASCII without spaces; percent-encode everything else");
    }
    if text.contains('\\') {
        return Err("must not hold a backslash");
    }
    if text.contains('#') {
        return Err("must not have a fragment (#)");
    }
    let url = Url::parse(text).map_err(|_| "must be absolute, like https://app.example.org/callback")?;
    if !text.starts_with(&format!("{}:", url.scheme())) {
        return Err("must have its scheme in lower case");
    }
    let authority = text
        .split_once("://")
        .map_or("", |(_, rest)| rest.split(['/', '?']).next().unwrap_or_default());
    if authority.contains('@') {
        return Err("must not have a user name or password before the host");
    }
    match url.scheme() {
        // The parser mends a missing slash; a browser would go where the registrant did not look.
        "https" | "http" if authority.is_empty() => Err("must have a host after the scheme and //"),
        "https" => Ok(()),
        "http" if url.host().is_some_and(|host: Host<&str>| is_loopback(&host)) => Ok(()),
        "http" => Err("must be https; plain http is for 127.0.0.1, [::1] and localhost only"),
        scheme if scheme.contains('.') => Ok(()),
        _ => Err("must be https, or an app's own scheme with a dot in it, like org.example.app:/callback"),
    }
}

/// An origin as browsers send it (RFC 6454 section 6.2).
pub(super) fn allowed_origin(text: &str) -> Result<(), &'static str> {
    const FORM: &str =
        "must be an origin like https://app.example.org, in lower case, without a path or default port";
    let url = Url::parse(text).map_err(|_| FORM)?;
    let loopback = url.host().is_some_and(|host| is_loopback(&host));
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => return Err("must be https; plain http is for 127.0.0.1, [::1] and localhost only"),
        _ => return Err(FORM),
    }
    if url.origin().ascii_serialization() == text {
        Ok(())
    } else {
        Err(FORM)
    }
}

/// A password that may be set: as typed, 8 to 128 characters, no rules about its composition.
pub(super) fn password(text: &str) -> Result<(), &'static str> {
    match text.chars().count() {
        0..8 => Err("is shorter than 8 characters"),
        8..=128 => Ok(()),
        _ => Err("is longer than 128 characters"),
    }
}

/// A PHC string of Argon2id, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
pub(super) fn phc_argon2id(text: &str) -> Result<(), &'static str> {
    let parts: Vec<&str> = text.split('$').collect();
    match parts.as_slice() {
        ["", "argon2id", "v=19", parameters, salt, hash]
            if parameters.starts_with("m=") && !salt.is_empty() && !hash.is_empty() && text.len() <= 512 =>
        {
            Ok(())
        }
        _ => Err("begins like a PHC string but is none of Argon2id; make one with `claviger hash-password`"),
    }
}

#[cfg(test)]
mod tests;
