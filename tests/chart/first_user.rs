//! The person of the values: made once, and nobody's but the administrator's from then on.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::Cluster;
use testbed::helm::Helm;
use testbed::raw::Call;

use crate::installation::status;
use crate::owned_secret::resources;
use crate::{names, object, refusals, release, render};

const MARKER: &str = "claviger-first-user-alice";

fn values(name: &str) -> Value {
    json!({ "replicaCount": 0, "firstUser": { "name": name, "email": "alice@example.org" } })
}

/// A hook that no policy of Helm's deletes, and a `ConfigMap` beside it.
#[tokio::test]
async fn the_first_user_is_a_hook_that_stays() {
    let objects = render(json!({ "firstUser": {
        "name": "alice",
        "email": "alice@example.org",
        "emailVerified": true,
        "displayName": "Alice \"A\" Archer",
        "groups": ["admins"],
    } }))
    .await;
    let user = object(&objects, "OidcUser", "alice");
    assert_eq!(
        user["spec"],
        json!({
            "email": "alice@example.org",
            "emailVerified": true,
            "displayName": "Alice \"A\" Archer",
            "groups": ["admins"],
            "password": { "generate": true },
        })
    );
    for object in [user, object(&objects, "ConfigMap", MARKER)] {
        let annotations = &object["metadata"]["annotations"];
        assert_eq!(annotations["helm.sh/hook"], "post-install,post-upgrade");
        assert_eq!(annotations["helm.sh/hook-delete-policy"], "hook-failed");
        assert_eq!(object["metadata"]["namespace"], "claviger");
    }
    let secret = json!({ "name": "hers" });
    let objects = render(json!({ "firstUser": { "name": "alice", "passwordSecret": secret } })).await;
    assert_eq!(
        object(&objects, "OidcUser", "alice")["spec"],
        json!({ "password": { "secretRef": { "name": "hers", "key": "password" } } })
    );
    let none = names(&render(json!({})).await);
    assert!(none.iter().all(|name| !name.starts_with("OidcUser/")), "{none:?}");
}

#[tokio::test]
async fn a_bad_first_user_is_refused() {
    for (values, words) in [
        (json!({ "name": "Alice" }), "firstUser.name: Does not match"),
        (
            json!({ "name": "alice", "groups": "admins" }),
            "firstUser.groups: Invalid type",
        ),
        (
            json!({ "name": "alice", "password": "secret" }),
            "firstUser: Additional property password is not allowed",
        ),
    ] {
        for said in refusals(&release(json!({ "firstUser": values }))).await {
            assert!(said.contains(words), "{values}: {said}");
        }
    }
}

/// On a cluster without the kinds: the first installation makes her, and from then on nothing of the chart's does
/// anything to her or brings her back.
pub(crate) async fn is_made_once(cluster: &Cluster, helm: &Helm) -> Result<()> {
    let admin = cluster.client()?;
    let alice = format!("{}/alice", resources("claviger", "oidcusers"));
    let uid = async || -> Result<String> {
        let answer = Call::get(&alice).send(&admin).await?;
        let uid = answer.json()["metadata"]["uid"].as_str().map(str::to_owned);
        uid.with_context(|| format!("{answer}"))
    };
    let notes = helm.install(&release(values("alice"))).await?;
    assert!(
        notes.contains("The first person who can sign in is alice; the password"),
        "{notes}"
    );
    assert!(
        notes.contains("get secret alice-password -o jsonpath="),
        "{notes}"
    );
    let made = uid().await?;

    // What people change stays, whatever the values say later.
    let change = json!({ "spec": { "email": "alice@example.com" } });
    let changed = Call::patch(&alice, "application/merge-patch+json", change)
        .send(&admin)
        .await?;
    assert_eq!(changed.status, 200, "{changed}");
    helm.upgrade(&release(values("alice"))).await?;
    helm.upgrade(&release(json!({ "replicaCount": 0 }))).await?;
    helm.upgrade(&release(values("alice"))).await?;
    assert_eq!(uid().await?, made);
    let answer = Call::get(&alice).send(&admin).await?.json();
    assert_eq!(answer["spec"]["email"], "alice@example.com");

    // She outlives the release, and a new one leaves her alone.
    helm.uninstall(&release(json!({}))).await?;
    helm.install(&release(values("alice"))).await?;
    assert_eq!(uid().await?, made);

    // Whoever is deleted stays so.
    assert_eq!(Call::delete(&alice).send(&admin).await?.status, 200);
    helm.upgrade(&release(values("alice"))).await?;
    assert_eq!(status(&admin, &alice).await?, 404);

    // Another name is another person, also in an upgrade.
    helm.upgrade(&release(values("bob"))).await?;
    let bob = format!("{}/bob", resources("claviger", "oidcusers"));
    assert_eq!(status(&admin, &bob).await?, 200);
    assert_eq!(status(&admin, &alice).await?, 404);
    helm.uninstall(&release(json!({}))).await?;
    Ok(())
}
