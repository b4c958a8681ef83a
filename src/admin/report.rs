//! What is said over the socket. Names are stable: `-o json` prints them as they are.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::keyring::listing::{KeyFacts, KeyKind, KeyState};

/// The keys of the keyring in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeysReport {
    /// Where the keyring is kept.
    pub keyring: String,
    /// For how many seconds a signing key signs.
    pub signing_key_rotation_seconds: u64,
    /// What went wrong at the last try to rotate, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    /// The keys, those in use first within each kind.
    pub keys: Vec<KeyReport>,
}

/// One key: ids and times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyReport {
    /// `master`, `signing` or `sealing`
    pub kind: String,
    /// The algorithm of a signing key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// The id; the `kid` of a signing key.
    pub id: String,
    /// `published`, `in use` or `kept`
    pub state: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it is in the JWK Set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    /// Since when, or from when on, it signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signs_from: Option<Timestamp>,
    /// When it leaves the JWK Set, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_until: Option<Timestamp>,
}

impl From<KeyFacts> for KeyReport {
    fn from(facts: KeyFacts) -> Self {
        let (kind, alg) = match facts.kind {
            KeyKind::Master => ("master", None),
            KeyKind::Signing(algorithm) => ("signing", Some(algorithm.name().to_owned())),
            KeyKind::Sealing => ("sealing", None),
        };
        let state = match facts.state {
            KeyState::Published => "published",
            KeyState::InUse => "in use",
            KeyState::Kept => "kept",
        };
        Self {
            kind: kind.to_owned(),
            alg,
            id: facts.id,
            state: state.to_owned(),
            created_at: facts.created_at,
            published_at: facts.published_at,
            signs_from: facts.signs_from,
            kept_until: facts.kept_until,
        }
    }
}

/// Which keys are to be rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RotateKeys {
    /// The signing keys.
    Signing,
    /// The master key.
    Master,
}

/// A request to rotate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateRequest {
    /// What is to be rotated.
    pub keys: RotateKeys,
}

/// A new master key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MasterKeyReport {
    /// Its id.
    pub id: String,
    /// Where the keyring is kept.
    pub keyring: String,
}

/// What a look at the installation found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DoctorReport {
    /// What was looked at, in order.
    pub checks: Vec<Check>,
}

impl DoctorReport {
    /// Whether something does not work.
    pub fn has_failures(&self) -> bool {
        self.checks
            .iter()
            .any(|check| check.result == CheckResult::Failed)
    }
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckResult {
    /// All is well.
    Ok,
    /// It works, and somebody should look at it.
    Warning,
    /// It does not work.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What was looked at: a word or two that never change.
    pub name: String,
    /// How it went.
    pub result: CheckResult,
    /// What was found.
    pub found: String,
    /// What to do next: a command, or a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Check {
    /// All is well.
    pub fn ok(name: &str, found: impl Into<String>) -> Self {
        Self::new(name, CheckResult::Ok, found)
    }

    /// It works, and somebody should look at it.
    pub fn warning(name: &str, found: impl Into<String>) -> Self {
        Self::new(name, CheckResult::Warning, found)
    }

    /// It does not work.
    pub fn failed(name: &str, found: impl Into<String>) -> Self {
        Self::new(name, CheckResult::Failed, found)
    }

    fn new(name: &str, result: CheckResult, found: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            result,
            found: found.into(),
            next: None,
        }
    }

    /// With what to do next.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

/// Subjects of `OidcUser` resources whose spec does not pin them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubjectsReport {
    /// claviger's own namespace.
    pub namespace: String,
    /// How many others pin theirs already.
    pub pinned: usize,
    /// Resource names and subjects.
    pub subjects: Vec<SubjectReport>,
}

/// A subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubjectReport {
    /// The resource's name.
    pub name: String,
    /// `sub`, by which apps know the person.
    pub subject: String,
}

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// What, why and what to do.
    pub error: String,
}
