//! The list of requirements, and whether it and the tests match.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

/// A profile of the OpenID Foundation for providers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
pub(crate) enum Profile {
    /// Basic OP.
    Basic,
    /// Config OP.
    Config,
    /// Form Post OP, with the response type of Basic.
    #[serde(rename = "Form Post")]
    FormPost,
    /// RP-Initiated Logout OP.
    #[serde(rename = "RP-Initiated Logout")]
    RpInitiatedLogout,
    /// Back-Channel Logout OP.
    #[serde(rename = "Back-Channel Logout")]
    BackChannelLogout,
}

impl Profile {
    /// All that this list is about.
    pub(crate) const ALL: [Self; 5] = [
        Self::Basic,
        Self::Config,
        Self::FormPost,
        Self::RpInitiatedLogout,
        Self::BackChannelLogout,
    ];
}

/// How strictly the specification says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Level {
    /// MUST, MUST NOT, REQUIRED.
    Must,
    /// SHOULD, SHOULD NOT, RECOMMENDED.
    Should,
}

/// A requirement and what shows that it is met.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Requirement {
    pub(crate) id: String,
    pub(crate) profile: Vec<Profile>,
    /// Specification and section.
    pub(crate) source: String,
    pub(crate) level: Level,
    /// In one sentence.
    #[serde(rename = "requirement")]
    pub(crate) sentence: String,
    /// The function that shows it.
    pub(crate) test: String,
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/requirements.yaml")
}

/// Reads the list.
pub(crate) fn read() -> Result<Vec<Requirement>> {
    let path = path();
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    serde_yaml::from_str(&text).with_context(|| format!("{} is not written as it should be", path.display()))
}

/// Where list and tests do not match; nothing, if all is well.
pub(crate) fn gaps<'a>(rows: &[Requirement], tests: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut gaps = Vec::new();
    let mut unlisted = BTreeSet::new();
    for test in tests {
        if !unlisted.insert(test) {
            gaps.push(format!("two tests are called {test}"));
        }
    }
    let all = unlisted.clone();
    let mut ids = BTreeSet::new();
    for row in rows {
        if !ids.insert(row.id.as_str()) {
            gaps.push(format!("two requirements have the id {}", row.id));
        }
        if row.profile.is_empty() || row.source.is_empty() || row.sentence.is_empty() {
            gaps.push(format!("{} says too little", row.id));
        }
        if !all.contains(row.test.as_str()) {
            gaps.push(format!(
                "{} names the test {}, which is not there",
                row.id, row.test
            ));
        } else if !unlisted.remove(row.test.as_str()) {
            gaps.push(format!("{} names the test {} of another row", row.id, row.test));
        }
    }
    gaps.extend(
        unlisted
            .iter()
            .map(|test| format!("the test {test} shows no requirement of the list")),
    );
    for profile in Profile::ALL {
        if !rows.iter().any(|row| row.profile.contains(&profile)) {
            gaps.push(format!("nothing is listed of the profile {profile:?}"));
        }
    }
    gaps
}
