//! Client credentials as they are sent to the token endpoint (RFC 6749 section 2.3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::client::ClientAuthenticationMethod;
use super::identifier::ClientId;
use super::parameters::{Parameters, Repeated};

/// Who a request says it is from, and with which proof. Holds a secret: no `Debug`.
pub struct ClientCredentials {
    /// `client_id`.
    pub client_id: ClientId,
    /// How it was presented.
    pub method: ClientAuthenticationMethod,
    /// `client_secret`; none with the method `none`.
    pub client_secret: Option<Zeroizing<String>>,
}

/// Why there are no credentials.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CredentialsError {
    /// A parameter came more than once.
    #[error("the parameter {0} is repeated")]
    Repeated(&'static str),
    /// RFC 6749 section 2.3: at most one method in each request.
    #[error("the client authenticates in two ways")]
    TwoMethods,
    /// The header and the body name different clients.
    #[error("client_id differs from the client that authenticates")]
    ClientIdDiffers,
    /// Neither header nor body names a client.
    #[error("the request names no client")]
    Missing,
    /// The `Authorization` header is not Basic, or not readable as such.
    #[error("the Authorization header is not readable as Basic credentials")]
    MalformedHeader,
}

impl ClientCredentials {
    /// Reads the `Authorization` header and the form.
    pub fn parse(authorization: Option<&[u8]>, form: &Parameters) -> Result<Self, CredentialsError> {
        let client_id = single(form, "client_id")?;
        let client_secret = single(form, "client_secret")?;
        if let Some(authorization) = authorization {
            if client_secret.is_some() {
                return Err(CredentialsError::TwoMethods);
            }
            let credentials = Self::basic(authorization).ok_or(CredentialsError::MalformedHeader)?;
            if client_id.is_some_and(|client_id| client_id != credentials.client_id.as_str()) {
                return Err(CredentialsError::ClientIdDiffers);
            }
            return Ok(credentials);
        }
        let client_id = client_id.ok_or(CredentialsError::Missing)?;
        let method = if client_secret.is_some() {
            ClientAuthenticationMethod::ClientSecretPost
        } else {
            ClientAuthenticationMethod::None
        };
        Ok(Self {
            client_id: ClientId::new(client_id),
            method,
            client_secret: client_secret.map(|secret| Zeroizing::new(secret.to_owned())),
        })
    }

    /// `Basic base64(form(client_id):form(client_secret))`: RFC 6749 section 2.3.1 encodes both as form values before
    /// RFC 7617 joins them.
    fn basic(authorization: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(authorization).ok()?;
        let (scheme, encoded) = text.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Basic") {
            return None;
        }
        let joined = Zeroizing::new(STANDARD.decode(encoded.trim_matches(' ')).ok()?);
        let (client_id, client_secret) = std::str::from_utf8(&joined).ok()?.split_once(':')?;
        Some(Self {
            client_id: ClientId::new(form_decode(client_id)?.as_str()),
            method: ClientAuthenticationMethod::ClientSecretBasic,
            client_secret: Some(form_decode(client_secret)?),
        })
    }
}

fn single<'a>(form: &'a Parameters, name: &'static str) -> Result<Option<&'a str>, CredentialsError> {
    form.single(name)
        .map_err(|Repeated(name)| CredentialsError::Repeated(name))
}

/// One form-encoded value. A raw `&` is no part of one, and what is not UTF-8 afterwards is no value of ours.
fn form_decode(encoded: &str) -> Option<Zeroizing<String>> {
    if encoded.contains('&') {
        return None;
    }
    let pair = Zeroizing::new(format!("={encoded}"));
    let value = form_urlencoded::parse(pair.as_bytes())
        .next()
        .map_or_else(Zeroizing::default, |(_, value)| {
            Zeroizing::new(value.into_owned())
        });
    (!value.contains('\u{FFFD}')).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unwrap_in_result, reason = "the forms of these tests can be read")]
    fn parse(authorization: Option<&str>, form: &str) -> Result<ClientCredentials, CredentialsError> {
        let form = Parameters::parse(form.as_bytes()).unwrap();
        ClientCredentials::parse(authorization.map(str::as_bytes), &form)
    }

    fn basic(joined: &str) -> String {
        format!("Basic {}", STANDARD.encode(joined))
    }

    /// Basic credentials are form-decoded after base64 (rule 29).
    #[test]
    fn rule_29_basic_credentials_are_form_decoded_after_base64() {
        let table = [
            ("shop:secret", "shop", "secret"),
            ("team%2Ea.shop:a%25b", "team.a.shop", "a%b"),
            ("shop:a+b%2Bc", "shop", "a b+c"),
            ("shop:a%3Ab:c", "shop", "a:b:c"),
            ("shop:%C3%A4", "shop", "ä"),
            ("shop:ä", "shop", "ä"),
            ("shop:a=b", "shop", "a=b"),
            ("shop:", "shop", ""),
        ];
        for (joined, client_id, secret) in table {
            let credentials = parse(Some(&basic(joined)), "").ok().unwrap();
            assert_eq!(credentials.client_id.as_str(), client_id, "{joined}");
            assert_eq!(credentials.client_secret.unwrap().as_str(), secret, "{joined}");
            assert_eq!(credentials.method, ClientAuthenticationMethod::ClientSecretBasic);
        }
        let lower_case = basic("shop:secret").replace("Basic", "bAsIC");
        assert!(parse(Some(&lower_case), "").is_ok());
    }

    #[test]
    fn rule_29_an_unreadable_header_is_refused() {
        let table = [
            String::new(),
            "Basic".into(),
            "Basic !".into(),
            "Bearer token".into(),
            basic("no-colon"),
            basic("shop:%FF"),
            basic("shop:a&b"),
            format!("Basic {}", STANDARD.encode(b"shop:\xFF")),
        ];
        for header in table {
            let error = parse(Some(&header), "client_id=shop").err();
            assert_eq!(error, Some(CredentialsError::MalformedHeader), "{header}");
        }
    }

    /// At most one method in a request, and `client_id` must agree (rule 29).
    #[test]
    fn rule_29_one_method_in_a_request() {
        let header = basic("shop:secret");
        let table = [
            (
                Some(header.as_str()),
                "client_secret=secret",
                Err(CredentialsError::TwoMethods),
            ),
            (
                Some(header.as_str()),
                "client_id=shop&client_secret=secret",
                Err(CredentialsError::TwoMethods),
            ),
            (
                Some(header.as_str()),
                "client_id=other",
                Err(CredentialsError::ClientIdDiffers),
            ),
            (
                Some(header.as_str()),
                "client_id=shop",
                Ok(ClientAuthenticationMethod::ClientSecretBasic),
            ),
            (
                None,
                "client_id=shop&client_secret=secret",
                Ok(ClientAuthenticationMethod::ClientSecretPost),
            ),
            (None, "client_id=shop", Ok(ClientAuthenticationMethod::None)),
            (
                None,
                "client_id=shop&client_secret=",
                Ok(ClientAuthenticationMethod::None),
            ),
            (None, "client_secret=secret", Err(CredentialsError::Missing)),
            (None, "", Err(CredentialsError::Missing)),
            (
                None,
                "client_id=shop&client_id=shop",
                Err(CredentialsError::Repeated("client_id")),
            ),
        ];
        for (authorization, form, expected) in table {
            let method = parse(authorization, form).map(|credentials| credentials.method);
            assert_eq!(method, expected, "{form}");
        }
    }
}
