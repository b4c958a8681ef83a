//! What a person allows an app: scopes, and single claims that are asked for by name.

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
}

/// The first version knew scopes only, and wrote them without a name; where there are no claims, so do we.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Scopes(ScopeSet),
    Both {
        scopes: ScopeSet,
        claims: BTreeSet<Claim>,
    },
}

impl Consent {
    /// Scopes and claims; a claim that a scope gives is part of the scope.
    pub fn new(scopes: ScopeSet, mut claims: BTreeSet<Claim>) -> Self {
        claims.retain(|claim| !scopes.contains(claim.scope()));
        Self { scopes, claims }
    }

    /// Claims that none of the scopes gives.
    pub fn claims(&self) -> impl Iterator<Item = Claim> {
        self.claims.iter().copied()
    }

    /// Whether whoever allowed this has allowed `asked`.
    pub fn covers(&self, asked: &Self) -> bool {
        asked.scopes.is_subset(&self.scopes)
            && asked
                .claims()
                .all(|claim| self.claims.contains(&claim) || self.scopes.contains(claim.scope()))
    }

    /// Both together.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::new(self.scopes.union(&other.scopes), &self.claims | &other.claims)
    }

    /// Whether nothing was allowed.
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty() && self.claims.is_empty()
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
            Written::Both { scopes, claims } => Self::new(scopes, claims),
        }
    }
}

impl From<Consent> for Written {
    fn from(Consent { scopes, claims }: Consent) -> Self {
        if claims.is_empty() {
            Self::Scopes(scopes)
        } else {
            Self::Both { scopes, claims }
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
    fn a_consent_of_the_first_version_is_read_and_written_as_it_was() {
        let read = |written: &Value| serde_json::from_value::<Consent>(written.clone()).unwrap();
        for (written, expected) in [
            (json!(["email", "openid"]), consent("openid email", &[])),
            (
                json!({"scopes": ["openid"], "claims": ["email"]}),
                consent("openid", &[Claim::Email]),
            ),
        ] {
            assert_eq!(read(&written), expected);
            assert_eq!(serde_json::to_value(&expected).unwrap(), written);
        }
    }
}
