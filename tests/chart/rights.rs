//! What claviger's account may do: this and nothing else.

use serde_json::json;

use crate::{object, render};

#[tokio::test]
async fn in_the_cluster_it_writes_secrets_and_reads_none() {
    let objects = render(json!({})).await;
    assert_eq!(
        object(&objects, "ClusterRole", "claviger")["rules"],
        json!([
            { "apiGroups": ["claviger.dev"], "resources": ["oidcclients"], "verbs": ["list", "watch"] },
            { "apiGroups": ["claviger.dev"], "resources": ["oidcclients/status"], "verbs": ["patch"] },
            { "apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "update"] },
            { "apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"] },
            { "apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get"] },
            { "nonResourceURLs": ["/.well-known/openid-configuration", "/openid/v1/jwks"], "verbs": ["get"] },
            { "apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"] },
        ])
    );
}

#[tokio::test]
async fn at_home_it_reads_secrets_by_name_and_users() {
    let objects = render(json!({})).await;
    let role = object(&objects, "Role", "claviger");
    assert_eq!(role["metadata"]["namespace"], "claviger");
    assert_eq!(
        role["rules"],
        json!([
            { "apiGroups": [""], "resources": ["secrets"], "verbs": ["get"] },
            { "apiGroups": ["claviger.dev"], "resources": ["oidcusers"], "verbs": ["list", "watch"] },
            { "apiGroups": ["claviger.dev"], "resources": ["oidcusers/status"], "verbs": ["patch"] },
        ])
    );
}

/// Nobody but claviger's account is bound, and it is bound to nothing else.
#[tokio::test]
async fn the_account_is_bound_to_these_two_roles() {
    for (values, account) in [
        (json!({}), "claviger"),
        (json!({ "serviceAccount": { "name": "own" } }), "own"),
        (
            json!({ "serviceAccount": { "create": false, "name": "given" } }),
            "given",
        ),
    ] {
        let objects = render(values).await;
        let bindings = objects
            .iter()
            .filter(|object| object["kind"].as_str().unwrap().ends_with("RoleBinding"))
            .map(|object| (&object["kind"], &object["roleRef"], &object["subjects"]))
            .collect::<Vec<_>>();
        let group = "rbac.authorization.k8s.io";
        let subjects = json!([{ "kind": "ServiceAccount", "name": account, "namespace": "claviger" }]);
        let bound = |kind: &str| json!({ "apiGroup": group, "kind": kind, "name": "claviger" });
        assert_eq!(
            bindings,
            [
                (&json!("ClusterRoleBinding"), &bound("ClusterRole"), &subjects),
                (&json!("RoleBinding"), &bound("Role"), &subjects),
            ]
        );
        let policy = object(&objects, "ValidatingAdmissionPolicy", "claviger-secrets");
        assert_eq!(
            policy["spec"]["matchConditions"],
            json!([{
                "name": "claviger",
                "expression": format!("request.userInfo.username == \"system:serviceaccount:claviger:{account}\""),
            }])
        );
        let accounts = objects
            .iter()
            .filter(|object| object["kind"] == "ServiceAccount")
            .count();
        assert_eq!(accounts, usize::from(account != "given"));
    }
}

#[tokio::test]
async fn roles_for_people_are_aggregated() {
    let objects = render(json!({})).await;
    let read = json!(["get", "list", "watch"]);
    let write = json!([
        "get",
        "list",
        "watch",
        "create",
        "update",
        "patch",
        "delete",
        "deletecollection"
    ]);
    let aggregate = |to: &str| format!("rbac.authorization.k8s.io/aggregate-to-{to}");
    for (name, labels, verbs) in [
        (
            "claviger-oidcclients-edit",
            vec![aggregate("edit"), aggregate("admin")],
            &write,
        ),
        ("claviger-oidcclients-view", vec![aggregate("view")], &read),
        (
            "claviger-servicebinding",
            vec!["servicebinding.io/controller".to_owned()],
            &read,
        ),
    ] {
        let role = object(&objects, "ClusterRole", name);
        // Never the status, and never an OidcUser.
        assert_eq!(
            role["rules"],
            json!([{ "apiGroups": ["claviger.dev"], "resources": ["oidcclients"], "verbs": verbs }]),
            "{name}"
        );
        for label in &labels {
            assert_eq!(role["metadata"]["labels"][label], "true", "{name} {label}");
        }
        let others = role["metadata"]["labels"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(key, value)| *value == "true" && !labels.contains(key))
            .count();
        assert_eq!(others, 0, "{name}");
    }
}
