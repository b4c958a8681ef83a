//! Request objects by value: an authorization request that its client signed (RFC 9101; OpenID Connect Core section 6.1).
//!
//! Decisions where the specifications leave the choice:
//! - `iss`, `aud`, `exp` and `client_id` are required, so that an object is of one client, for us, and ends; it lives for an
//!   hour at most, as the FAPI 2.0 Message Signing profile has it;
//! - times are whole seconds; `nbf` and `iat` may be half a minute ahead, for clocks that differ;
//! - RFC 9101 section 5 lets a client send `client_id` and `request` alone; OpenID Connect Core wants `response_type` and
//!   `scope` beside them. Both are accepted: they may be left out, and where they are there they must agree;
//! - `sub` is not the client's id, so that no client assertion (RFC 7523) passes for a request (RFC 9101 section 10.8).

use serde::Deserialize;
use serde_json::{Map, Value};

use super::client::Client;
use super::issuer::Issuer;
use super::jws::{self, Rejected, Times};
use super::parameters::Parameters;
use super::scope::{OPENID, ScopeSet};

/// `typ` of RFC 9101 section 10.8, and the general one that OpenID Connect Core leaves to be used.
const TYPES: [&str; 2] = ["oauth-authz-req+jwt", "JWT"];
/// The longest life, in seconds.
const MAX_LIFETIME: i64 = 60 * 60;

/// The claims that are about the object; all others are parameters. `jti` is none of either: a request may be repeated.
#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    aud: Option<Audience>,
    #[serde(flatten)]
    times: Times,
    sub: Option<String>,
    client_id: Option<String>,
    #[serde(flatten)]
    parameters: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn contains(&self, issuer: &str) -> bool {
        match self {
            Self::One(one) => one == issuer,
            Self::Several(several) => several.iter().any(|one| one == issuer),
        }
    }
}

/// The parameters of the object that came as `request` among `outside`: only they count from here on. `now` is in seconds.
pub fn open(
    object: &str,
    outside: &Parameters,
    client: &Client,
    issuer: &Issuer,
    now: i64,
) -> Result<Parameters, Rejected> {
    if client.jwks.is_empty() {
        return Err(Rejected("the client has no registered keys (jwks)"));
    }
    let claims: Claims = jws::verify(object, client, &TYPES)?;
    check_parties(&claims, client, issuer)?;
    check_times(claims.times, now)?;
    let inside = parameters(claims, client)?;
    check_agreement(outside, &inside)?;
    Ok(inside)
}

fn check_parties(claims: &Claims, client: &Client, issuer: &Issuer) -> Result<(), Rejected> {
    let client_id = Some(client.client_id.as_str());
    if claims.iss.as_deref() != client_id {
        return Err(Rejected("its iss is not the client_id"));
    }
    if claims.client_id.as_deref() != client_id {
        return Err(Rejected("its client_id is not that of the request"));
    }
    if claims.sub.as_deref() == client_id {
        return Err(Rejected(
            "its sub is the client_id, which makes it a client assertion",
        ));
    }
    match &claims.aud {
        Some(audience) if audience.contains(issuer.as_str()) => Ok(()),
        _ => Err(Rejected("its aud is not the issuer")),
    }
}

fn check_times(times: Times, now: i64) -> Result<(), Rejected> {
    let too_long = Rejected("it lives for longer than an hour");
    let exp = times.check(now, MAX_LIFETIME, too_long)?;
    if times
        .begins()
        .any(|begin| exp.saturating_sub(begin) > MAX_LIFETIME)
    {
        return Err(too_long);
    }
    Ok(())
}

fn parameters(claims: Claims, client: &Client) -> Result<Parameters, Rejected> {
    let parameters = claims.parameters;
    // RFC 9101 section 4.
    if parameters.contains_key("request") || parameters.contains_key("request_uri") {
        return Err(Rejected("it holds request or request_uri"));
    }
    let client_id = ("client_id".to_owned(), client.client_id.as_str().to_owned());
    let pairs = parameters.into_iter().flat_map(|(name, value)| {
        let values = match value {
            Value::Null => Vec::new(),
            // Several values of one name: only `resource` may have them (RFC 8707 section 2).
            Value::Array(values) => values,
            one => vec![one],
        };
        values.into_iter().map(move |value| {
            let text = match value {
                Value::String(text) => text,
                // Numbers as `max_age` has them, objects as `claims` has them (OpenID Connect Core section 6.1).
                other => other.to_string(),
            };
            (name.clone(), text)
        })
    });
    Parameters::from_pairs(pairs.chain([client_id])).map_err(|_| Rejected("it has too many parameters"))
}

fn check_agreement(outside: &Parameters, inside: &Parameters) -> Result<(), Rejected> {
    let of = |parameters: &Parameters, name| parameters.single(name).ok().flatten().map(str::to_owned);
    let response_type = of(outside, "response_type");
    if response_type.is_some() && response_type != of(inside, "response_type") {
        return Err(Rejected("its response_type is not that of the request"));
    }
    match of(outside, "scope") {
        Some(scope) if !ScopeSet::parse(&scope).contains(OPENID) => {
            Err(Rejected("the scope beside it does not contain openid"))
        }
        _ => Ok(()),
    }
}
