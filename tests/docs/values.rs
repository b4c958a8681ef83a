//! The reference of the chart's values: what `values.yaml` says of each.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_yaml::Value;

use crate::{assert_page, root};

/// A key of `values.yaml` with the comment above it.
struct Key {
    path: Vec<String>,
    comment: String,
}

#[test]
fn the_values_of_the_chart_are_the_documented_ones() {
    let text = std::fs::read_to_string(root().join("charts/claviger/values.yaml")).unwrap();
    let values: Value = serde_yaml::from_str(&text).unwrap();
    let mut page = "# Values of the chart\n\nMade from `charts/claviger/values.yaml` by `make docs`. A value that is not \
                    here is refused.\n\n| value | default | meaning |\n|---|---|---|\n"
        .to_owned();
    let keys = keys(&text);
    let mut found = 0;
    for key in &keys {
        let value = key.path.iter().fold(&values, |value, name| &value[name.as_str()]);
        let holds_others = value.as_mapping().is_some_and(|mapping| !mapping.is_empty());
        found += usize::from(!holds_others);
        if holds_others && key.comment.is_empty() {
            continue;
        }
        let default = if holds_others {
            String::new()
        } else {
            format!("`{}`", serde_json::to_string(value).unwrap())
        };
        let meaning = key.comment.replace('|', "\\|").replace('<', "&lt;");
        writeln!(page, "| `{}` | {default} | {meaning} |", key.path.join(".")).unwrap();
    }
    assert_eq!(
        found,
        leaves(&values),
        "values.yaml is not written as this test reads it"
    );
    assert_page("reference/values.md", &page);
}

/// Every key in order. A comment belongs to the key below it, a blank line ends it.
fn keys(text: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    let mut above: BTreeMap<usize, String> = BTreeMap::new();
    for line in text.lines() {
        let indented = line.len() - line.trim_start().len();
        let content = line.trim_start();
        if let Some(words) = content.strip_prefix('#') {
            comment.push(words.trim());
        } else if let Some((name, _)) = content.split_once(':') {
            above.retain(|level, _| *level < indented);
            above.insert(indented, name.to_owned());
            keys.push(Key {
                path: above.values().cloned().collect(),
                comment: std::mem::take(&mut comment).join(" "),
            });
        } else {
            comment.clear();
        }
    }
    keys
}

fn leaves(value: &Value) -> usize {
    match value.as_mapping().filter(|mapping| !mapping.is_empty()) {
        Some(mapping) => mapping.values().map(leaves).sum(),
        None => 1,
    }
}
