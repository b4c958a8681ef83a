//! Every rule that claviger keeps has a test named for it.
//!
//! The numbers only name the rules, as ARCHITECTURE.md says; a test is named `rule_26_…` after the rule that it proves and
//! states the rule in its documentation. A test that proves several names one and says the others in its
//! documentation, as `rule_27`.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its input fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The rules that hold.
const RULES: &[std::ops::RangeInclusive<u32>] = &[1..=41, 46..=77, 79..=90];

fn collect(folder: &Path, found: &mut BTreeSet<u32>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "rs" || extension == "mjs")
        {
            let text = fs::read_to_string(&path).unwrap();
            for (at, prefix) in text.match_indices("rule_") {
                let digits: String = text[at + prefix.len()..]
                    .chars()
                    .take_while(char::is_ascii_digit)
                    .collect();
                found.extend(digits.parse::<u32>().ok());
            }
        }
    }
}

#[test]
fn every_rule_has_a_test_named_for_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeSet::new();
    collect(&root.join("tests"), &mut found);
    collect(&root.join("src"), &mut found);
    let missing: Vec<_> = RULES
        .iter()
        .cloned()
        .flatten()
        .filter(|rule| !found.contains(rule))
        .collect();
    assert!(missing.is_empty(), "no test is named for rules {missing:?}");
}
