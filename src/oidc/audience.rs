//! For whom an access token is (`aud`), and how a client asks for that: resource indicators (RFC 8707).

use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::Url;

use super::error::{Error as WireError, ErrorCode};
use super::parameters::Parameters;

/// `aud` (RFC 7519 section 4.1.3): written as a string where it is one, else as a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Audience(Vec<String>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    One(String),
    Several(Vec<String>),
}

impl From<Written> for Audience {
    fn from(written: Written) -> Self {
        Self(match written {
            Written::One(value) => vec![value],
            Written::Several(values) => values,
        })
    }
}

impl From<Audience> for Written {
    fn from(Audience(mut values): Audience) -> Self {
        match values.pop() {
            Some(value) if values.is_empty() => Self::One(value),
            Some(value) => {
                values.push(value);
                Self::Several(values)
            }
            None => Self::Several(values),
        }
    }
}

impl Audience {
    /// The resources that were asked for, or else `default`.
    pub fn of(resources: &[String], default: &str) -> Self {
        if resources.is_empty() {
            Self(vec![default.to_owned()])
        } else {
            Self(resources.to_vec())
        }
    }

    /// Whether the token is for `resource`.
    pub fn contains(&self, resource: &str) -> bool {
        self.0.iter().any(|value| value == resource)
    }
}

/// The longest resource indicator, in bytes.
pub const MAX_RESOURCE_BYTES: usize = 512;

/// The most bytes of all resources together that one token may be for.
pub const MAX_AUDIENCES_BYTES: usize = 2048;

/// Why a text is no resource indicator. Each message goes on after the text: "`…` has a fragment".
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ResourceError {
    /// Longer than [`MAX_RESOURCE_BYTES`].
    #[error("is longer than {MAX_RESOURCE_BYTES} characters")]
    TooLong,
    /// RFC 8707 section 2.
    #[error("has a fragment; remove the # and what follows it")]
    Fragment,
    /// Not a character of RFC 3986 section 2.
    #[error("has the character {0:?}, which a URI cannot hold; percent-encode it")]
    IllegalCharacter(char),
    /// RFC 8707 section 2.
    #[error("is not an absolute URI; write it like https://api.example.org")]
    NotAbsolute,
}

/// Checks that `text` is an absolute URI without a fragment (RFC 8707 section 2). It is compared byte for byte and never
/// followed, so any scheme will do.
pub fn check_resource(text: &str) -> Result<(), ResourceError> {
    if text.len() > MAX_RESOURCE_BYTES {
        return Err(ResourceError::TooLong);
    }
    if text.contains('#') {
        return Err(ResourceError::Fragment);
    }
    let is_legal = |c: char| c.is_ascii_graphic() && !r#""<>\^`{|}"#.contains(c);
    if let Some(illegal) = text.chars().find(|c| !is_legal(*c)) {
        return Err(ResourceError::IllegalCharacter(illegal));
    }
    Url::parse(text).map(drop).map_err(|_| ResourceError::NotAbsolute)
}

/// Whether `text` names the issuer, or something that is the issuer's: what is there only claviger itself can serve. Compared
/// as URLs are, so that another spelling of the same place does not pass.
pub fn is_of_issuer(text: &str, issuer: &str) -> bool {
    let (Ok(resource), Ok(issuer)) = (Url::parse(text), Url::parse(issuer)) else {
        return false;
    };
    let below = format!("{}/", issuer.path().trim_end_matches('/'));
    resource.origin() == issuer.origin()
        && (resource.path().starts_with(&below) || resource.path() == issuer.path().trim_end_matches('/'))
}

/// What a request asks for: every value of `resource`, the one parameter that may come more than once.
pub fn requested(parameters: &Parameters) -> Vec<String> {
    let mut resources = Vec::new();
    for (_, value) in parameters.iter().filter(|(name, _)| *name == "resource") {
        if !resources.iter().any(|known| known == value) {
            resources.push(value.to_owned());
        }
    }
    resources
}

/// The resources of an authorization: those `requested`, if the client `registered` each of them.
pub fn authorize(requested: Vec<String>, registered: &[String]) -> Result<Vec<String>, WireError> {
    if requested.iter().all(|resource| registered.contains(resource)) {
        Ok(requested)
    } else {
        Err(invalid_target())
    }
}

/// The resources of one token (RFC 8707 section 2.2): those `requested` of what was `granted`, or all that was granted. What
/// the client has `registered` no more is left out; where nothing else was granted, there is no token, since one for
/// another audience is not what was asked for.
pub fn narrow(
    requested: Vec<String>,
    granted: &[String],
    registered: &[String],
) -> Result<Vec<String>, WireError> {
    let is_good = |resource: &String| granted.contains(resource) && registered.contains(resource);
    if !requested.is_empty() {
        return if requested.iter().all(is_good) {
            Ok(requested)
        } else {
            Err(invalid_target())
        };
    }
    let left: Vec<String> = granted
        .iter()
        .filter(|resource| is_good(resource))
        .cloned()
        .collect();
    if left.is_empty() && !granted.is_empty() {
        return Err(invalid_target());
    }
    Ok(left)
}

/// RFC 8707 section 2.
pub fn invalid_target() -> WireError {
    WireError::new(
        ErrorCode::InvalidTarget,
        "resource is none of those that this client may ask a token for here",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn one_value_is_a_string_and_several_are_a_list() {
        for (resources, written) in [
            ("", r#""issuer""#),
            ("a", r#""a""#),
            ("a b", r#"["a","b"]"#),
            ("b a c", r#"["b","a","c"]"#),
        ] {
            let audience = Audience::of(&list(resources), "issuer");
            assert_eq!(serde_json::to_string(&audience).unwrap(), written);
            assert_eq!(serde_json::from_str::<Audience>(written).unwrap(), audience);
        }
        assert!(serde_json::from_str::<Audience>("1").is_err());
        assert!(serde_json::from_str::<Audience>("null").is_err());
    }

    #[test]
    fn rule_41_a_resource_is_an_absolute_uri_without_a_fragment() {
        for good in [
            "https://api.example.org",
            "https://api.example.org/v1?tenant=a",
            "urn:example:api",
            "api://billing",
        ] {
            assert_eq!(check_resource(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", ResourceError::NotAbsolute),
            ("api", ResourceError::NotAbsolute),
            ("/v1", ResourceError::NotAbsolute),
            ("//api.example.org", ResourceError::NotAbsolute),
            ("https://", ResourceError::NotAbsolute),
            ("https://api.example.org#x", ResourceError::Fragment),
            ("https://api.example.org#", ResourceError::Fragment),
            ("https://api.example.org/ x", ResourceError::IllegalCharacter(' ')),
            ("https://ä.example", ResourceError::IllegalCharacter('ä')),
            ("urn:x\n", ResourceError::IllegalCharacter('\n')),
        ] {
            assert_eq!(check_resource(bad), Err(why), "{bad}");
        }
        assert_eq!(
            check_resource(&format!("urn:{}", "x".repeat(MAX_RESOURCE_BYTES))),
            Err(ResourceError::TooLong)
        );
    }

    #[test]
    fn rule_41_what_is_the_issuers_is_known_in_every_spelling() {
        let table = [
            ("https://id.example.org", "https://id.example.org", true),
            ("https://id.example.org", "https://id.example.org/", true),
            (
                "https://id.example.org",
                "https://ID.example.org:443/api/userinfo",
                true,
            ),
            ("https://id.example.org", "https://x@id.example.org?y", true),
            ("https://id.example.org", "https://id.example.org:8443", false),
            ("https://id.example.org", "https://api.id.example.org", false),
            ("https://id.example.org", "urn:x", false),
            ("https://example.org/oidc", "https://example.org/oidc", true),
            ("https://example.org/oidc", "https://example.org/x/../oidc/", true),
            ("https://example.org/oidc", "https://example.org/oidc?x", true),
            ("https://example.org/oidc", "https://example.org/oidc/api", true),
            ("https://example.org/oidc", "https://example.org/oidc-api", false),
            ("https://example.org/oidc", "https://example.org/", false),
        ];
        for (issuer, text, expected) in table {
            assert_eq!(is_of_issuer(text, issuer), expected, "{text} at {issuer}");
        }
    }

    /// What is requested at the token endpoint narrows what was granted and never widens it.
    #[test]
    fn rule_41_a_token_is_for_a_part_of_what_was_granted() {
        let table = [
            // requested, granted, registered: for
            ("", "", "a b", Some("")),
            ("", "a b", "a b", Some("a b")),
            ("a", "a b", "a b", Some("a")),
            ("b a", "a b", "a b", Some("b a")),
            ("c", "a b", "a b c", None),
            ("a c", "a b", "a b c", None),
            ("a", "", "a", None),
            // The registration has changed.
            ("", "a b", "b", Some("b")),
            ("", "a", "b", None),
            ("a", "a b", "b", None),
            ("", "a", "", None),
        ];
        for (requested, granted, registered, expected) in table {
            let narrowed = narrow(list(requested), &list(granted), &list(registered)).ok();
            assert_eq!(
                narrowed,
                expected.map(list),
                "{requested} of {granted} of {registered}"
            );
        }
    }
}
