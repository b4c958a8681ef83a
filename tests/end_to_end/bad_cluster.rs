//! Clusters that claviger cannot or must not work with.

use futures::future::join_all;
use serde_json::Value;
use testbed::folder::Folder;

use crate::harness::{HOME, World};
use crate::launch::Start;

/// Nothing says where the cluster is, or what says so is no kubeconfig.
#[tokio::test]
async fn no_cluster_to_be_found_is_refused() {
    let world = World::shared();
    let to_do = "run in a pod, or set KUBECONFIG to a file that names a cluster";
    let nowhere = Folder::new("kubeconfig").unwrap().join("nowhere");
    let good = std::fs::read_to_string(world.kubeconfig()).unwrap();
    let mut no_context: Value = serde_json::from_str(&good).unwrap();
    no_context["current-context"] = "another".into();
    let mut bad_url: Value = serde_json::from_str(&good).unwrap();
    bad_url["clusters"][0]["cluster"]["server"] = "not a url".into();
    for (start, what) in [
        (Start::new(), "unable to find a cluster"),
        (Start::new().kubeconfig(&nowhere), "nowhere"),
        (
            Start::new().kubeconfig_text("miaow: [\n- {"),
            "unable to find a cluster",
        ),
        (
            Start::new().kubeconfig_text("just text"),
            "unable to find a cluster",
        ),
        (Start::new().kubeconfig_text(&no_context.to_string()), "another"),
        (
            Start::new().kubeconfig_text(&bad_url.to_string()),
            "unable to find a cluster",
        ),
    ] {
        start.refused_with(&[what, to_do]).await;
    }
}

/// Without the policy the account could overwrite any Secret whose name it guesses.
#[tokio::test]
async fn a_cluster_without_the_admission_policy_is_refused() {
    let world = World::shared();
    // The policy is for claviger's account; nobody holds back the administrator.
    Start::new()
        .kubeconfig(&world.cluster.kubeconfig())
        .refused_with(&[
            "the ValidatingAdmissionPolicy that pins claviger to its own Secrets is not in force in the namespace claviger",
            "install it with claviger's chart, or accept the danger with --without-secret-policy",
        ])
        .await;
}

/// An account that may not do its work, and one that the API server does not know, are told what is missing.
#[tokio::test]
async fn missing_rights_are_refused() {
    let world = World::shared();
    let nobody = world
        .cluster
        .service_account_kubeconfig("default", "default")
        .await
        .unwrap();
    let folder = Folder::new("rights").unwrap();
    let document = &world.secret(HOME, "claviger-keyring").await["keyring.json"];
    folder.write("keyring.json", document).unwrap();
    let good = std::fs::read_to_string(world.kubeconfig()).unwrap();
    let mut wrong_token: Value = serde_json::from_str(&good).unwrap();
    wrong_token["users"][0]["user"] = serde_json::json!({ "token": "marked-token" });
    let to_do = "install claviger's chart";
    let starts = [
        (
            Start::new().kubeconfig(&nobody),
            "secrets \"claviger-keyring\" is forbidden: User \"system:serviceaccount:default:default\" cannot get",
        ),
        (
            Start::new().kubeconfig(&nobody).keyring_folder(folder.path()),
            "unable to read the namespace kube-system",
        ),
        (
            Start::new().kubeconfig_text(&wrong_token.to_string()),
            "Unauthorized (401)",
        ),
    ];
    join_all(starts.into_iter().map(async |(start, what)| {
        let line = start.refused().await;
        assert!(line.contains(what) && line.contains(to_do), "{line}");
        assert!(!line.contains("marked"), "{line}");
    }))
    .await;
}
