//! The `claims` request parameter (OpenID Connect Core section 5.5): single claims that an app asks for by name.
//!
//! Decisions where the specification leaves the choice:
//! - a client gets by name only what its registered scopes would give it. Whoever decides what an app may ask for decides
//!   by scopes, and a second way to the same data that heeds no registration would make that decision worth nothing;
//! - nothing that is known is refused because it was asked for with another `value`, except `sub` and `acr`, whose meaning
//!   section 5.5.1 defines. `essential` alone changes nothing, as there is no error for a claim that is not known;
//! - claims and members that are unknown are ignored, as section 5.5 wants, language tags (section 5.2) included.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::authentication::SUPPORTED_ACR_VALUES;
use super::claims::Claim;
use super::identifier::Subject;
use super::scope::ScopeSet;

/// The longest `claims` that is read, in bytes.
pub const MAX_CLAIMS_BYTES: usize = 4096;

/// The claims about the End-User that an app asks for by name. A grant keeps them, so that every ID token and every answer
/// at userinfo is like the first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestedClaims {
    /// To be given at userinfo.
    pub userinfo: BTreeSet<Claim>,
    /// To be given in the ID token.
    pub id_token: BTreeSet<Claim>,
}

impl RequestedClaims {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }

    /// What is asked for, wherever it is to be given.
    pub fn all(&self) -> BTreeSet<Claim> {
        self.userinfo.union(&self.id_token).copied().collect()
    }

    /// What of it a client with these scopes may ask for.
    #[must_use]
    pub fn within(&self, scopes: &ScopeSet) -> Self {
        let within = |claims: &BTreeSet<Claim>| {
            let claims = claims.iter().copied();
            claims.filter(|claim| scopes.contains(claim.scope())).collect()
        };
        Self {
            userinfo: within(&self.userinfo),
            id_token: within(&self.id_token),
        }
    }
}

/// Everything that a `claims` parameter says.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct ClaimsRequest {
    /// The claims about the End-User.
    pub requested: RequestedClaims,
    /// `auth_time` is to be in the ID token.
    pub auth_time: bool,
    /// The only subjects that may answer; `None` where any may. Empty where the request excludes everybody.
    pub subjects: Option<BTreeSet<Subject>>,
}

/// Why a `claims` parameter cannot be answered.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ClaimsRequestError {
    /// Longer than [`MAX_CLAIMS_BYTES`].
    #[error("claims is longer than {MAX_CLAIMS_BYTES} bytes")]
    TooLong,
    /// Not what section 5.5 describes.
    #[error("claims is not a JSON object as OpenID Connect Core section 5.5 describes it")]
    Malformed,
    /// An essential `acr` that no way to sign in gives (section 5.5.1.1).
    #[error("none of the essential acr values can be met; acr_values_supported lists those that can")]
    AcrUnmet,
}

/// The claims of one of the parameter's two members.
type Member = BTreeMap<String, Wish>;

/// What is said of one claim (section 5.5.1).
#[derive(Default)]
struct Wish {
    essential: bool,
    /// The values that would do; `None` where any would.
    allowed: Option<BTreeSet<String>>,
}

impl ClaimsRequest {
    /// Reads the parameter.
    pub fn parse(text: &str) -> Result<Self, ClaimsRequestError> {
        if text.len() > MAX_CLAIMS_BYTES {
            return Err(ClaimsRequestError::TooLong);
        }
        let Ok(Value::Object(members)) = serde_json::from_str(text) else {
            return Err(ClaimsRequestError::Malformed);
        };
        let member = |name: &str| read(members.get(name)).ok_or(ClaimsRequestError::Malformed);
        let (userinfo, id_token) = (member("userinfo")?, member("id_token")?);
        if let Some(Wish {
            essential: true,
            allowed: Some(wanted),
        }) = id_token.get("acr")
            && SUPPORTED_ACR_VALUES.iter().all(|ours| !wanted.contains(*ours))
        {
            return Err(ClaimsRequestError::AcrUnmet);
        }
        Ok(Self {
            auth_time: id_token.contains_key("auth_time"),
            subjects: subjects(&[&userinfo, &id_token]),
            requested: RequestedClaims {
                userinfo: known(&userinfo),
                id_token: known(&id_token),
            },
        })
    }
}

fn known(member: &Member) -> BTreeSet<Claim> {
    Claim::ALL
        .into_iter()
        .filter(|claim| member.contains_key(claim.as_str()))
        .collect()
}

/// Both members are about one person, so what both allow is what is allowed.
fn subjects(members: &[&Member]) -> Option<BTreeSet<Subject>> {
    members
        .iter()
        .filter_map(|member| member.get("sub")?.allowed.clone())
        .reduce(|one, other| &one & &other)
        .map(|allowed| allowed.into_iter().map(Subject::new).collect())
}

/// A member; `null` is the same as none. `None` for what is no member.
fn read(member: Option<&Value>) -> Option<Member> {
    match member {
        None | Some(Value::Null) => Some(Member::new()),
        Some(Value::Object(claims)) => claims
            .iter()
            .map(|(name, wish)| Some((name.clone(), Wish::read(wish)?)))
            .collect(),
        Some(_) => None,
    }
}

impl Wish {
    /// `null` says nothing; members that are unknown are ignored. `None` for what is no wish.
    fn read(wish: &Value) -> Option<Self> {
        let wish = match wish {
            Value::Null => return Some(Self::default()),
            Value::Object(wish) => wish,
            _ => return None,
        };
        // What is not a text is none of the values that we know.
        let texts = |values: &[Value]| -> BTreeSet<String> {
            values
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        let value = wish.get("value").map(|value| texts(std::slice::from_ref(value)));
        let values = match wish.get("values") {
            None => None,
            Some(values) => Some(texts(values.as_array()?)),
        };
        Some(Self {
            essential: match wish.get("essential") {
                None => false,
                Some(essential) => essential.as_bool()?,
            },
            allowed: match (value, values) {
                (Some(value), Some(values)) => Some(&value & &values),
                (value, values) => value.or(values),
            },
        })
    }
}

#[cfg(test)]
mod tests;
