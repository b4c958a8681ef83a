//! What a person allows an app: scopes, single claims that are asked for by name, and for which APIs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::claims::Claim;
use super::scope::ScopeSet;

/// What an app asks for, or was allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Consent {
    /// Scopes.
    pub scopes: ScopeSet,
    /// Claims that none of the scopes gives.
    claims: BTreeSet<Claim>,
    /// Resources (RFC 8707) at which the app may act for the person.
    resources: BTreeSet<String>,
}

/// The first version knew scopes only, and wrote them without a name; where there is nothing else, so do we.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Scopes(ScopeSet),
    Both {
        scopes: ScopeSet,
        claims: BTreeSet<Claim>,
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        resources: BTreeSet<String>,
    },
}

impl Consent {
    /// Scopes and claims; a claim that a scope gives is part of the scope.
    pub fn new(scopes: ScopeSet, mut claims: BTreeSet<Claim>) -> Self {
        claims.retain(|claim| !scopes.contains(claim.scope()));
        Self {
            scopes,
            claims,
            resources: BTreeSet::new(),
        }
    }

    /// The same, for these resources too.
    #[must_use]
    pub fn at(mut self, resources: impl IntoIterator<Item = String>) -> Self {
        self.resources.extend(resources);
        self
    }

    /// Resources at which the app may act for the person.
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.resources.iter().map(String::as_str)
    }

    /// Claims that none of the scopes gives.
    pub fn claims(&self) -> impl Iterator<Item = Claim> {
        self.claims.iter().copied()
    }

    /// Whether whoever allowed this has allowed `asked`.
    pub fn covers(&self, asked: &Self) -> bool {
        asked.scopes.is_subset(&self.scopes)
            && asked.resources.is_subset(&self.resources)
            && asked
                .claims()
                .all(|claim| self.claims.contains(&claim) || self.scopes.contains(claim.scope()))
    }

    /// Both together.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::new(self.scopes.union(&other.scopes), &self.claims | &other.claims)
            .at(&self.resources | &other.resources)
    }

    /// Whether nothing was allowed.
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty() && self.claims.is_empty() && self.resources.is_empty()
    }
}

impl From<ScopeSet> for Consent {
    fn from(scopes: ScopeSet) -> Self {
        Self::new(scopes, BTreeSet::new())
    }
}

impl From<Written> for Consent {
    fn from(written: Written) -> Self {
        match written {
            Written::Scopes(scopes) => scopes.into(),
            Written::Both {
                scopes,
                claims,
                resources,
            } => Self::new(scopes, claims).at(resources),
        }
    }
}

impl From<Consent> for Written {
    fn from(consent: Consent) -> Self {
        let Consent {
            scopes,
            claims,
            resources,
        } = consent;
        if claims.is_empty() && resources.is_empty() {
            Self::Scopes(scopes)
        } else {
            Self::Both {
                scopes,
                claims,
                resources,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn consent(scopes: &str, claims: &[Claim]) -> Consent {
        Consent::new(ScopeSet::parse(scopes), claims.iter().copied().collect())
    }

    #[test]
    fn a_claim_is_covered_by_itself_and_by_its_scope() {
        let asked = consent("openid", &[Claim::Email, Claim::Name]);
        for (allowed, covers) in [
            (
                consent("openid", &[Claim::Email, Claim::Name, Claim::Groups]),
                true,
            ),
            (consent("openid email profile", &[]), true),
            (consent("openid email", &[Claim::Name]), true),
            (consent("openid email", &[]), false),
            (consent("openid", &[Claim::EmailVerified, Claim::Name]), false),
            (consent("email profile", &[]), false),
        ] {
            assert_eq!(allowed.covers(&asked), covers, "{allowed:?}");
        }
        // One claim of a scope is not the scope.
        assert!(!consent("openid", &[Claim::Email]).covers(&consent("openid email", &[])));
    }

    #[test]
    fn what_is_allowed_adds_up() {
        let sum =
            consent("openid", &[Claim::Email, Claim::Name]).union(&consent("openid email", &[Claim::Groups]));
        assert_eq!(sum, consent("openid email", &[Claim::Name, Claim::Groups]));
    }

    #[test]
    fn what_is_allowed_at_one_api_is_not_allowed_at_another() {
        let at = |resources: &str| consent("openid", &[]).at(resources.split_whitespace().map(str::to_owned));
        for (allowed, asked, covers) in [
            ("", "", true),
            ("urn:a", "", true),
            ("urn:a urn:b", "urn:b", true),
            ("", "urn:a", false),
            ("urn:a", "urn:a urn:b", false),
        ] {
            assert_eq!(at(allowed).covers(&at(asked)), covers, "{asked} of {allowed}");
        }
        assert_eq!(at("urn:a").union(&at("urn:b")), at("urn:a urn:b"));
    }

    #[test]
    fn a_consent_of_the_first_version_is_read_and_written_as_it_was() {
        let read = |written: &Value| serde_json::from_value::<Consent>(written.clone()).unwrap();
        for (written, expected) in [
            (json!(["email", "openid"]), consent("openid email", &[])),
            (
                json!({"scopes": ["openid"], "claims": ["email"]}),
                consent("openid", &[Claim::Email]),
            ),
            (
                json!({"scopes": ["openid"], "claims": [], "resources": ["urn:a"]}),
                consent("openid", &[]).at(["urn:a".to_owned()]),
            ),
        ] {
            assert_eq!(read(&written), expected);
            assert_eq!(serde_json::to_value(&expected).unwrap(), written);
        }
    }
}
