//! The chart's custom resource definitions are those of `crds/`, and stay when they should.

use std::path::Path;

use serde_json::{Value, json};

use crate::{object, render};

const NAMES: [&str; 2] = ["oidcclients", "oidcusers"];

fn committed(plural: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("crds/{plural}.yaml"));
    serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn without_keep_they_are_exactly_the_committed_ones() {
    let objects = render(json!({ "crds": { "keep": false } })).await;
    for plural in NAMES {
        let name = format!("{plural}.claviger.dev");
        assert_eq!(
            object(&objects, "CustomResourceDefinition", &name),
            &committed(plural)
        );
    }
}

#[tokio::test]
async fn by_default_they_outlive_the_release() {
    let objects = render(json!({})).await;
    for plural in NAMES {
        let name = format!("{plural}.claviger.dev");
        let mut wanted = committed(plural);
        wanted["metadata"]["annotations"] = json!({ "helm.sh/resource-policy": "keep" });
        assert_eq!(object(&objects, "CustomResourceDefinition", &name), &wanted);
    }
}

#[tokio::test]
async fn they_can_be_left_out() {
    let objects = render(json!({ "crds": { "install": false } })).await;
    assert!(
        objects
            .iter()
            .all(|object| object["kind"] != "CustomResourceDefinition")
    );
}

/// The definitions are committed in `crds/` only under the names that the chart has templates for.
#[test]
fn none_is_missing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = |path: &str| {
        let mut names = std::fs::read_dir(folder.join(path))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect::<Vec<_>>();
        names.sort();
        names
    };
    assert_eq!(list("crds"), list("charts/claviger/templates/crds"));
    assert_eq!(
        list("crds"),
        NAMES.map(|plural| format!("{plural}.yaml")).to_vec()
    );
}
