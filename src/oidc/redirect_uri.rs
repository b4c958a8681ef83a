//! Redirection Endpoint URIs (RFC 6749 section 3.1.2): which may be registered, and which a request may name.
//!
//! Nothing is ever normalised. A registered URI is kept as written and compared byte for byte; what a browser would make
//! of it is looked at only to refuse what would mean something else than it shows.

use std::fmt;
use std::net::Ipv6Addr;

use thiserror::Error;
use url::Url;

/// A URI that may be registered, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RedirectUri(String);

/// Why a URI may not be registered. Each message goes on after the URI: "`…` has a fragment …".
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RedirectUriError {
    /// No text at all.
    #[error("is empty; write an absolute URI like https://app.example.org/callback")]
    Empty,
    /// Longer than [`RedirectUri::MAX_LENGTH`].
    #[error("has {0} characters, more than the 2048 that are allowed")]
    TooLong(usize),
    /// Browsers read it as a slash, other parsers do not.
    #[error("has a backslash; write forward slashes")]
    Backslash,
    /// RFC 6749 section 3.1.2.
    #[error("has a fragment; remove the # and what follows it")]
    Fragment,
    /// There are no wildcards.
    #[error("has a *; there are no wildcards, list every URI in full")]
    Wildcard,
    /// Not a character of RFC 3986 section 2.
    #[error("has the character {0:?}, which a URI cannot hold; percent-encode it")]
    IllegalCharacter(char),
    /// A `%` without two hexadecimal digits.
    #[error("has a % that two hexadecimal digits do not follow")]
    BadEscape,
    /// No scheme.
    #[error("is not absolute; write it with its scheme, like https://app.example.org/callback")]
    Relative,
    /// Schemes are compared as written.
    #[error("has capital letters in its scheme; write the scheme in lower case")]
    UppercaseScheme,
    /// RFC 8252 section 7.1.
    #[error(
        "has the scheme {0}; use https, http on loopback, or a private-use scheme with a dot in it, like org.example.app:/callback"
    )]
    Scheme(String),
    /// RFC 9700 section 2.6 and RFC 8252 section 7.3.
    #[error("uses http outside loopback; use https, or one of 127.0.0.1, [::1] and localhost")]
    PlainHttp,
    /// What stands before an `@` looks like the host and is not.
    #[error("has a user name or password before the host; remove everything up to the @")]
    Userinfo,
    /// No host, or one that is read as another.
    #[error("has the host {0:?}, which is not a plain host name or IP address")]
    Host(String),
    /// Not 1 to 65535.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    /// Nothing follows the scheme.
    #[error("ends after its scheme")]
    NothingAfterScheme,
    /// Of a form that the checks above let through and a browser cannot follow, such as `org.example.app://:`.
    #[error("cannot be read as a URI: {0}")]
    Unreadable(url::ParseError),
}

impl RedirectUri {
    /// The longest that can be registered, in characters.
    pub const MAX_LENGTH: usize = 2048;

    /// Checks `text` and keeps it as it is.
    pub fn parse(text: &str) -> Result<Self, RedirectUriError> {
        check_characters(text)?;
        let (scheme, rest) = split_scheme(text)?;
        match scheme {
            "https" | "http" => {
                let host = check_authority(rest)?;
                if scheme == "http" && !["127.0.0.1", "[::1]", "localhost"].contains(&host) {
                    return Err(RedirectUriError::PlainHttp);
                }
            }
            // RFC 8252 section 7.1: the reverse of a domain name; this also keeps out javascript:, data: and file:.
            private if private.contains('.') => check_private_use(rest)?,
            other => return Err(RedirectUriError::Scheme(other.to_owned())),
        }
        // After the checks, whose messages say more: a code must never be sent where no browser can go.
        Url::parse(text).map_err(RedirectUriError::Unreadable)?;
        Ok(Self(text.to_owned()))
    }

    /// The URI as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URI as written.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Whether a request may name `presented` when `registered` is registered: byte for byte (RFC 9700 section 4.1.3), except
/// that the port of a loopback IP literal is free (RFC 8252 section 7.3).
pub fn matches(registered: &str, presented: &str) -> bool {
    if registered == presented {
        return true;
    }
    match (
        without_loopback_port(registered),
        without_loopback_port(presented),
    ) {
        (Some(registered), Some(presented)) => registered == presented,
        _ => false,
    }
}

/// Whether a URI leads to an app on the person's own device (RFC 8252 section 7): by a private-use scheme, or by plain http,
/// which only loopback has. Nothing proves which app that is.
pub fn is_native(uri: &str) -> bool {
    !uri.starts_with("https:")
}

/// Whether a form can be posted to `uri`: an app's own scheme only opens the app.
pub fn takes_forms(uri: &str) -> bool {
    uri.starts_with("https:") || uri.starts_with("http:")
}

/// `uri` with more in its query. What it has already is retained (RFC 6749 section 3.1.2), and it is extended as text, so
/// that nothing in it is normalised.
pub fn with_query(uri: &str, query: &str) -> String {
    let separator = match uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some((_, registered)) if registered.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{uri}{separator}{query}")
}

/// Host and the part from the path on, where the host is a loopback IP literal under plain http. `localhost` is not one:
/// it may resolve to something else.
fn without_loopback_port(uri: &str) -> Option<(&str, &str)> {
    let (host, rest) = ["http://127.0.0.1", "http://[::1]"]
        .into_iter()
        .find_map(|host| Some((host, uri.strip_prefix(host)?)))?;
    let tail = match rest.strip_prefix(':') {
        None => rest,
        Some(rest) => {
            let (port, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            if !is_port(port) {
                return None;
            }
            tail
        }
    };
    (tail.is_empty() || tail.starts_with(['/', '?'])).then_some((host, tail))
}

/// A port in its one way of writing: no sign, no leading zero.
fn is_port(text: &str) -> bool {
    !text.starts_with(['0', '+']) && text.parse::<u16>().is_ok()
}

fn check_characters(text: &str) -> Result<(), RedirectUriError> {
    if text.is_empty() {
        return Err(RedirectUriError::Empty);
    }
    let length = text.chars().count();
    if length > RedirectUri::MAX_LENGTH {
        return Err(RedirectUriError::TooLong(length));
    }
    for character in text.chars() {
        match character {
            '\\' => return Err(RedirectUriError::Backslash),
            '#' => return Err(RedirectUriError::Fragment),
            '*' => return Err(RedirectUriError::Wildcard),
            // RFC 3986 section 2: unreserved, reserved and the escape; nothing else.
            'a'..='z' | 'A'..='Z' | '0'..='9' => {}
            _ if "-._~:/?[]@!$&'()+,;=%".contains(character) => {}
            illegal => return Err(RedirectUriError::IllegalCharacter(illegal)),
        }
    }
    let escapes = text.split('%').skip(1);
    for escape in escapes {
        let digits = escape.bytes().take(2).filter(u8::is_ascii_hexdigit).count();
        if digits < 2 {
            return Err(RedirectUriError::BadEscape);
        }
    }
    Ok(())
}

/// The scheme (RFC 3986 section 3.1) and what follows its colon.
fn split_scheme(text: &str) -> Result<(&str, &str), RedirectUriError> {
    let (scheme, rest) = text.split_once(':').ok_or(RedirectUriError::Relative)?;
    let legal = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !legal {
        return Err(RedirectUriError::Relative);
    }
    if scheme.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(RedirectUriError::UppercaseScheme);
    }
    Ok((scheme, rest))
}

/// Checks `//host[:port]` at the front of `rest` and gives the host.
fn check_authority(rest: &str) -> Result<&str, RedirectUriError> {
    let rest = rest
        .strip_prefix("//")
        .ok_or_else(|| RedirectUriError::Host(String::new()))?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(RedirectUriError::Userinfo);
    }
    let host_end = match authority.rfind(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(host_end);
    if !is_plain_host(host) {
        return Err(RedirectUriError::Host(host.to_owned()));
    }
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok(host),
        Some(port) if is_port(port) => Ok(host),
        _ => Err(RedirectUriError::Port),
    }
}

/// Whether a browser reads `host` as it is written: it takes `0x7f.1` for 127.0.0.1 and decodes escapes.
fn is_plain_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address
            .parse::<Ipv6Addr>()
            .is_ok_and(|parsed| parsed.to_string() == address);
    }
    let characters = host
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    characters
        && !host.is_empty()
        && !host.split('.').any(str::is_empty)
        && Url::parse(&format!("https://{host}/"))
            .is_ok_and(|url| url.host_str().is_some_and(|read| read.eq_ignore_ascii_case(host)))
}

/// Private-use schemes need no authority; one that is there must not hide another host either.
fn check_private_use(rest: &str) -> Result<(), RedirectUriError> {
    if rest.trim_start_matches('/').is_empty() && rest != "/" {
        return Err(RedirectUriError::NothingAfterScheme);
    }
    let authority = rest
        .strip_prefix("//")
        .and_then(|rest| rest.split(['/', '?']).next());
    if authority.is_some_and(|authority| authority.contains('@')) {
        return Err(RedirectUriError::Userinfo);
    }
    Ok(())
}

/// The most characters that are shown of a URI.
const MOST_SHOWN: usize = 256;

/// What may be shown of a URI that somebody asked for and that is not registered: scheme, host, port and path. A query or a
/// fragment may hold a code, what stands before an `@` a password, and what is no URI anything.
pub fn shown(requested: &str) -> String {
    let Ok(url) = Url::parse(requested) else {
        return "a text that is not an absolute URI".to_owned();
    };
    let scheme = url.scheme();
    if url.cannot_be_a_base() {
        return shortened(format!("{scheme}:…"));
    }
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => shortened(format!("{scheme}://{host}:{port}{}", url.path())),
        (Some(host), None) => shortened(format!("{scheme}://{host}{}", url.path())),
        (None, _) => shortened(format!("{scheme}:{}", url.path())),
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(MOST_SHOWN) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests;
