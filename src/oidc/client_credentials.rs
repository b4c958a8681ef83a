//! Client credentials as they are sent to the token endpoint (RFC 6749 section 2.3, RFC 7521 section 4.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::client::ClientAuthenticationMethod;
use super::client_assertion::{self, Claimed};
use super::identifier::ClientId;
use super::parameters::{Parameters, Repeated};
use super::service_account_token;

/// Who a request says it is from, and with which proof. Holds a secret: no `Debug`.
pub struct ClientCredentials {
    /// `client_id`.
    pub client_id: ClientId,
    /// How it was presented.
    pub method: ClientAuthenticationMethod,
    /// What proves it.
    pub proof: Proof,
}

/// What proves who sent a request. Holds a secret: no `Debug`.
pub enum Proof {
    /// Nothing, with the method `none`.
    Nothing,
    /// `client_secret`.
    ClientSecret(Zeroizing<String>),
    /// `client_assertion`.
    ClientAssertion(Zeroizing<String>),
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
    /// The assertion is a token of a ServiceAccount, which several clients may name.
    #[error("client_id is missing, and the token of a ServiceAccount does not say for which client it is")]
    AccountNamesNoClient,
    /// The `Authorization` header is not Basic, or not readable as such.
    #[error("the Authorization header is not readable as Basic credentials")]
    MalformedHeader,
    /// RFC 7521 section 4.2: the one without the other.
    #[error("client_assertion and client_assertion_type come together or not at all")]
    HalfAssertion,
    /// A `client_assertion_type` that nobody here can read.
    #[error("the client_assertion_type is not {}", client_assertion::TYPE)]
    UnknownAssertionType,
}

impl ClientCredentials {
    /// Reads the `Authorization` header and the form.
    pub fn parse(authorization: Option<&[u8]>, form: &Parameters) -> Result<Self, CredentialsError> {
        let client_id = single(form, "client_id")?;
        let client_secret = single(form, "client_secret")?;
        let assertion = assertion(form)?;
        if client_secret.is_some() && assertion.is_some() {
            return Err(CredentialsError::TwoMethods);
        }
        if let Some(authorization) = authorization {
            if client_secret.is_some() || assertion.is_some() {
                return Err(CredentialsError::TwoMethods);
            }
            let credentials = Self::basic(authorization).ok_or(CredentialsError::MalformedHeader)?;
            if client_id.is_some_and(|client_id| client_id != credentials.client_id.as_str()) {
                return Err(CredentialsError::ClientIdDiffers);
            }
            return Ok(credentials);
        }
        if let Some(assertion) = assertion {
            let client_id = match client_id {
                Some(client_id) => client_id.to_owned(),
                None => claimed_client(assertion)?,
            };
            return Ok(Self {
                client_id: ClientId::new(client_id.as_str()),
                method: ClientAuthenticationMethod::PrivateKeyJwt,
                proof: Proof::ClientAssertion(Zeroizing::new(assertion.to_owned())),
            });
        }
        let client_id = ClientId::new(client_id.ok_or(CredentialsError::Missing)?);
        Ok(match client_secret {
            Some(secret) => Self {
                client_id,
                method: ClientAuthenticationMethod::ClientSecretPost,
                proof: Proof::ClientSecret(Zeroizing::new(secret.to_owned())),
            },
            None => Self {
                client_id,
                method: ClientAuthenticationMethod::None,
                proof: Proof::Nothing,
            },
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
            proof: Proof::ClientSecret(form_decode(client_secret)?),
        })
    }
}

/// The client that an assertion says it is of, for a request without `client_id`. Where that is there, it is the client whose
/// id must stand in the assertion.
fn claimed_client(assertion: &str) -> Result<String, CredentialsError> {
    let Claimed { iss, sub } = Claimed::by(assertion);
    // What a client signs itself has its id in both (RFC 7523 section 3).
    let is_of_account = sub.as_deref().is_some_and(service_account_token::is_subject) && iss != sub;
    if is_of_account {
        return Err(CredentialsError::AccountNamesNoClient);
    }
    sub.ok_or(CredentialsError::Missing)
}

/// `client_assertion`, if there is one of the type that is known.
fn assertion(form: &Parameters) -> Result<Option<&str>, CredentialsError> {
    match (
        single(form, "client_assertion_type")?,
        single(form, "client_assertion")?,
    ) {
        (None, None) => Ok(None),
        (Some(client_assertion::TYPE), Some(assertion)) => Ok(Some(assertion)),
        (Some(_), Some(_)) => Err(CredentialsError::UnknownAssertionType),
        (Some(_), None) | (None, Some(_)) => Err(CredentialsError::HalfAssertion),
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
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

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
            let Proof::ClientSecret(sent) = credentials.proof else {
                panic!("no secret: {joined}")
            };
            assert_eq!(sent.as_str(), secret, "{joined}");
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
            (
                None,
                "client_id=shop&client_assertion=x",
                Err(CredentialsError::HalfAssertion),
            ),
            (
                Some(header.as_str()),
                "client_assertion_type=x",
                Err(CredentialsError::HalfAssertion),
            ),
            (
                None,
                "client_id=shop&client_assertion=x&client_assertion_type=x",
                Err(CredentialsError::UnknownAssertionType),
            ),
        ];
        for (authorization, form, expected) in table {
            let method = parse(authorization, form).map(|credentials| credentials.method);
            assert_eq!(method, expected, "{form}");
        }
    }

    /// An assertion stands for itself, and beside no other proof; without `client_id` its `sub` says whose it is.
    #[test]
    fn rule_29_an_assertion_is_a_method_of_its_own() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"shop"}"#);
        let assertion = format!("{}.{claims}.AA", URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#));
        let form = |more: &str| {
            let kind = client_assertion::TYPE;
            format!("client_assertion_type={kind}&client_assertion={assertion}{more}")
        };
        let header = basic("shop:secret");
        let table = [
            (None, form(""), Ok("shop")),
            (None, form("&client_id=other"), Ok("other")),
            (
                None,
                form("&client_secret=secret"),
                Err(CredentialsError::TwoMethods),
            ),
            (Some(header.as_str()), form(""), Err(CredentialsError::TwoMethods)),
            (
                None,
                form("&client_assertion=x"),
                Err(CredentialsError::Repeated("client_assertion")),
            ),
            (
                None,
                format!(
                    "client_assertion_type={}&client_assertion=x",
                    client_assertion::TYPE
                ),
                Err(CredentialsError::Missing),
            ),
        ];
        for (authorization, form, expected) in table {
            let parsed = parse(authorization, &form);
            let parsed = parsed.as_ref().map(|credentials| {
                assert_eq!(credentials.method, ClientAuthenticationMethod::PrivateKeyJwt);
                credentials.client_id.as_str()
            });
            assert_eq!(parsed, expected.as_ref().copied(), "{form}");
        }
    }
}
