//! How the admission policies are built; what they do is tried on a real API server.

use serde_json::{Value, json};

use crate::{object, render};

const POLICIES: [&str; 2] = ["claviger-secrets", "claviger-users"];

fn policy<'a>(objects: &'a [Value], name: &str) -> &'a Value {
    &object(objects, "ValidatingAdmissionPolicy", name)["spec"]
}

/// A policy that cannot be evaluated refuses; a denial is a 403 with a sentence that says why.
#[tokio::test]
async fn every_validation_denies_with_a_sentence() {
    let objects = render(json!({ "watchNamespaces": ["team-a"] })).await;
    for name in POLICIES {
        let policy = policy(&objects, name);
        assert_eq!(policy["failurePolicy"], "Fail");
        for validation in policy["validations"].as_array().unwrap() {
            assert_eq!(validation["reason"], "Forbidden", "{validation}");
            let message = validation["message"].as_str().unwrap();
            assert!(message.ends_with('.') && message.len() > 20, "{validation}");
        }
        let binding = object(&objects, "ValidatingAdmissionPolicyBinding", name);
        assert_eq!(
            binding["spec"],
            json!({ "policyName": name, "validationActions": ["Deny"] })
        );
    }
}

#[tokio::test]
async fn secrets_are_guarded_in_every_way_of_writing() {
    let objects = render(json!({})).await;
    assert_eq!(
        policy(&objects, "claviger-secrets")["matchConstraints"],
        json!({ "resourceRules": [{
            "apiGroups": [""],
            "apiVersions": ["*"],
            "operations": ["CREATE", "UPDATE", "DELETE"],
            "resources": ["secrets"],
        }] })
    );
}

/// The keyring's name is the same in the policy and in the flag.
#[tokio::test]
async fn the_keyrings_name_is_one() {
    let objects = render(json!({ "keyring": { "secretName": "keys.of.mine" } })).await;
    let variables = policy(&objects, "claviger-secrets")["variables"].to_string();
    assert!(
        variables.contains(r#"object.metadata.name == \"keys.of.mine\""#),
        "{variables}"
    );
    let deployment = object(&objects, "Deployment", "claviger").to_string();
    assert!(
        deployment.contains("--keyring=secret:keys.of.mine"),
        "{deployment}"
    );
}

#[tokio::test]
async fn users_have_the_homes_that_are_listed() {
    let objects = render(json!({ "userPolicy": { "otherNamespaces": ["sso"] } })).await;
    let validations = &policy(&objects, "claviger-users")["validations"];
    assert_eq!(
        validations[0]["expression"],
        r#"request.namespace in ["claviger","sso"] || has(object.metadata.deletionTimestamp)"#
    );
    assert_eq!(
        validations[0]["message"],
        "An OidcUser is honoured only in claviger's own namespace: create it in claviger or sso."
    );
}
