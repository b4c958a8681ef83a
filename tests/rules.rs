//! Every rule that claviger keeps, and every fault of other products that it is held against, has a test.
//!
//! `rules.yaml` lists both. The numbers only name the rules, as ARCHITECTURE.md says; a test is named `rule_26_…` after the rule
//! that it proves and states the rule in its documentation. A test that proves several names one and says the others in its
//! documentation, as `rule_27`.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its input fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;

/// The list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    rules: Vec<Rule>,
    advisories: Vec<Advisory>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    #[serde(rename = "rule")]
    number: String,
    level: Level,
    about: String,
    /// What it is about is not built yet.
    #[serde(default)]
    waits: bool,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Level {
    /// Must.
    M,
    /// Should.
    S,
    /// Ours.
    O,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advisory {
    ids: Vec<String>,
    about: String,
    /// The feature that claviger does not have.
    absent: Option<String>,
    /// The rules that this feature would have to keep, and that wait for it: none of them has a test, and one that gets it is a
    /// feature that is not absent any more.
    #[serde(default)]
    absent_rules: Vec<String>,
    tests: Vec<String>,
}

/// What the tests are named for.
#[derive(Default)]
struct Tests {
    rules: BTreeSet<String>,
    functions: BTreeSet<String>,
}

impl Tests {
    fn collect(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.collect(&path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "rs" || extension == "mjs")
                && !path.ends_with("tests/rules.rs")
            {
                self.read(&fs::read_to_string(&path).unwrap());
            }
        }
    }

    fn read(&mut self, text: &str) {
        for (at, prefix) in text.match_indices("rule_") {
            let rest = &text[at + prefix.len()..];
            let digits = rest.trim_start_matches('0');
            let end = digits.find(|character: char| !character.is_ascii_digit());
            let (number, after) = digits.split_at(end.unwrap_or(digits.len()));
            // A rule that came later beside another: 32b. Words follow an underscore.
            let letter = after
                .strip_prefix('b')
                .filter(|after| !after.starts_with(char::is_alphanumeric));
            if !number.is_empty() {
                self.rules
                    .insert(format!("{number}{}", if letter.is_some() { "b" } else { "" }));
            }
        }
        for (at, keyword) in text.match_indices("fn ") {
            let name = text[at + keyword.len()..].split(|character: char| {
                !(character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_')
            });
            self.functions.extend(name.take(1).map(str::to_owned));
        }
    }
}

fn list() -> List {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules.yaml");
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn tests() -> Tests {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = Tests::default();
    tests.collect(&root.join("tests"));
    tests.collect(&root.join("src"));
    tests
}

#[test]
fn every_rule_has_a_test_named_for_it() {
    let tests = tests();
    let mut rules = BTreeMap::new();
    for rule in list().rules {
        assert!(!rule.about.is_empty(), "rule {} says nothing", rule.number);
        let has_test = tests.rules.contains(&rule.number);
        assert!(
            has_test || rule.waits,
            "no test is named for rule {} ({}: {})",
            rule.number,
            match rule.level {
                Level::M => "must",
                Level::S => "should",
                Level::O => "ours",
            },
            rule.about
        );
        assert!(
            !(has_test && rule.waits),
            "rule {} has a test now: take its `waits` out of tests/rules.yaml",
            rule.number
        );
        let twice = rules.insert(rule.number.clone(), rule.level);
        assert!(twice.is_none(), "rule {} is listed twice", rule.number);
    }
    for number in 1..=90 {
        assert!(
            rules.contains_key(&number.to_string()),
            "rule {number} is not listed"
        );
    }
    for named in &tests.rules {
        assert!(
            rules.contains_key(named),
            "a test is named for rule {named}, which is not listed"
        );
    }
}

#[test]
fn every_advisory_has_tests() {
    let tests = tests();
    let list = list();
    let mut ids = BTreeSet::new();
    for advisory in list.advisories {
        for id in &advisory.ids {
            assert!(ids.insert(id.clone()), "{id} is listed twice");
        }
        let name = advisory.ids.join(", ");
        assert!(
            !name.is_empty() && !advisory.about.is_empty(),
            "{name} says nothing"
        );
        assert!(advisory.absent.as_deref() != Some(""), "{name}: what is absent?");
        assert!(
            advisory.absent.is_some() || advisory.absent_rules.is_empty(),
            "{name}: what is absent that rules {:?} wait for?",
            advisory.absent_rules
        );
        for number in &advisory.absent_rules {
            let mut rules = list.rules.iter();
            assert!(
                rules.any(|rule| rule.number == *number && rule.waits),
                "{name} is about what is absent, but rule {number} does not wait: give it tests for what is there now"
            );
        }
        assert!(!advisory.tests.is_empty(), "{name} has no test");
        for test in &advisory.tests {
            assert!(
                tests.functions.contains(test),
                "{name} names the test {test}, which is not there"
            );
        }
    }
    assert!(ids.len() > 50, "only {} advisories are listed", ids.len());
}
