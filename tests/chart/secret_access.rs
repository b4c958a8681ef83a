//! What the API server answers to claviger's account, which has `create` and `update` on Secrets and the policy: the
//! answers on which the controller counts. That it gets no further is tried by the thief's test of the controller.

use anyhow::Result;
use serde_json::{Value, json};
use testbed::raw::{Answer, Call};

use crate::owned_secret::{
    keyring, make_client, make_user, owned_by_client, owned_by_user, resources, secret, secrets,
};
use crate::{denied_by, installed, make};

fn resource_version(answer: &Answer) -> Value {
    answer.json()["metadata"]["resourceVersion"].clone()
}

#[track_caller]
fn assert_denied(answer: &Answer, words: &str) {
    assert_eq!(denied_by(answer).as_deref(), Some("claviger-secrets"), "{answer}");
    assert!(answer.message().contains(words), "{answer}");
}

const NOT_MADE: &str =
    "claviger changes only Secrets that it made for the same owner, and this one it did not.";

#[tokio::test(flavor = "multi_thread")]
async fn its_own_secrets_are_written_without_being_read() -> Result<()> {
    let cluster = installed()?;
    let admin = cluster.client()?;
    let claviger = cluster.client_for_service_account("claviger", "claviger").await?;
    let namespace = cluster.temp_namespace("access").await?;
    let uid = make(&admin, make_client(&namespace, "shop")).await?;
    let wanted = owned_by_client("shop-oidc", "shop", &uid);
    let create = Call::post(secrets(&namespace), wanted.clone());
    let update = Call::put(secret(&namespace, "shop-oidc"), wanted.clone());

    // Where nothing is, PUT makes nothing and POST does.
    assert_eq!(update.send(&claviger).await?.status, 404);
    let created = create.send(&claviger).await?;
    assert_eq!(created.status, 201, "{created}");
    assert!(created.json()["metadata"]["uid"].is_string(), "{created}");

    // An existing name is told, and nothing of the object.
    for create in [create.clone(), create.dry_run()] {
        let answer = create.send(&claviger).await?;
        assert_eq!(answer.status, 409, "{answer}");
        assert_eq!(answer.json()["reason"], "AlreadyExists");
        assert!(!answer.text.contains("client-id"), "{answer}");
    }

    // The same again writes nothing; something else does.
    let same = update.send(&claviger).await?;
    assert_eq!(same.status, 200, "{same}");
    assert_eq!(resource_version(&same), resource_version(&created));
    let mut changed = wanted.clone();
    changed["data"]["client-id"] = "Yg==".into();
    let changed = Call::put(secret(&namespace, "shop-oidc"), changed)
        .send(&claviger)
        .await?;
    assert_eq!(changed.status, 200, "{changed}");
    assert_ne!(resource_version(&changed), resource_version(&created));

    let mut other = wanted.clone();
    other["metadata"]["uid"] = "11111111-1111-1111-1111-111111111111".into();
    let answer = Call::put(secret(&namespace, "shop-oidc"), other)
        .send(&claviger)
        .await?;
    assert_eq!(answer.status, 409, "{answer}");
    assert_eq!(answer.json()["reason"], "Conflict");

    let mut other = wanted;
    other["type"] = "Opaque".into();
    let answer = Call::put(secret(&namespace, "shop-oidc"), other)
        .send(&claviger)
        .await?;
    assert_eq!(answer.status, 422, "{answer}");
    cluster.delete_namespace(&namespace).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_secret_is_denied_by_the_policy_or_by_its_own_type() -> Result<()> {
    let cluster = installed()?;
    let admin = cluster.client()?;
    let claviger = cluster.client_for_service_account("claviger", "claviger").await?;
    let namespace = cluster.temp_namespace("foreign").await?;
    let uid = make(&admin, make_client(&namespace, "shop")).await?;
    let foreign = |name: &str, kind: &str, immutable: bool| {
        Call::post(
            secrets(&namespace),
            json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": { "name": name },
                "type": kind,
                "immutable": immutable,
                "data": { "theirs": "eA==" },
            }),
        )
    };
    make(&admin, foreign("same-type", "servicebinding.io/oidc", false)).await?;
    make(&admin, foreign("opaque", "Opaque", false)).await?;
    make(&admin, foreign("immutable", "servicebinding.io/oidc", true)).await?;
    let write = |name: &str| Call::put(secret(&namespace, name), owned_by_client(name, "shop", &uid));

    assert_denied(&write("same-type").send(&claviger).await?, NOT_MADE);
    assert_denied(&write("same-type").dry_run().send(&claviger).await?, NOT_MADE);
    // These are told before admission.
    for name in ["opaque", "immutable"] {
        let answer = write(name).send(&claviger).await?;
        assert_eq!(answer.status, 422, "{answer}");
        assert!(!answer.text.contains("theirs"), "{answer}");
    }
    // One claviger never had, of an owner that is now another: the same name, made again by its next owner.
    let stale = owned_by_client("stale", "shop", "22222222-2222-2222-2222-222222222222");
    make(&admin, Call::post(secrets(&namespace), stale)).await?;
    let answer = write("stale").send(&claviger).await?;
    // Garbage collection may have been faster.
    assert!(answer.status == 404 || denied_by(&answer).is_some(), "{answer}");
    cluster.delete_namespace(&namespace).await
}

/// The probe with which claviger finds out at its start whether the policy is in force.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_without_the_label_is_denied_even_as_a_question() -> Result<()> {
    let cluster = installed()?;
    let claviger = cluster.client_for_service_account("claviger", "claviger").await?;
    for namespace in ["claviger", "default"] {
        let mut secret = owned_by_client("probe", "probe", "33333333-3333-3333-3333-333333333333");
        secret["metadata"]["labels"] = json!({});
        let answer = Call::post(secrets(namespace), secret)
            .dry_run()
            .send(&claviger)
            .await?;
        assert_denied(
            &answer,
            "claviger writes only Secrets with the label app.kubernetes.io/managed-by=claviger.",
        );
    }
    Ok(())
}

/// At home there are two more kinds of Secrets, and it may read them one by one.
#[tokio::test(flavor = "multi_thread")]
async fn at_home_it_keeps_the_keyring_and_passwords() -> Result<()> {
    let cluster = installed()?;
    let admin = cluster.client()?;
    let claviger = cluster.client_for_service_account("claviger", "claviger").await?;
    let user = make(&admin, make_user("claviger", "alice")).await?;
    for (name, wanted) in [
        ("claviger-keyring", keyring("claviger-keyring")),
        ("alice-password", owned_by_user("alice-password", "alice", &user)),
    ] {
        let created = Call::post(secrets("claviger"), wanted.clone())
            .send(&claviger)
            .await?;
        assert_eq!(created.status, 201, "{created}");
        let mut changed = wanted.clone();
        changed["data"]["more"] = "YQ==".into();
        let answer = Call::put(secret("claviger", name), changed)
            .send(&claviger)
            .await?;
        assert_eq!(answer.status, 200, "{answer}");
        let answer = Call::get(secret("claviger", name)).send(&claviger).await?;
        assert_eq!(answer.status, 200, "{answer}");
        // Elsewhere the same is refused.
        let answer = Call::post(secrets("default"), wanted).send(&claviger).await?;
        assert_denied(
            &answer,
            "claviger writes only Secrets of the type servicebinding.io/oidc",
        );
    }
    Ok(())
}

/// An `OidcUser` elsewhere would do nothing, so nobody can make one there, whatever their rights.
#[tokio::test(flavor = "multi_thread")]
async fn users_live_at_home_only() -> Result<()> {
    let cluster = installed()?;
    let admin = cluster.client()?;
    let answer = make_user("default", "bob").send(&admin).await?;
    assert_eq!(denied_by(&answer).as_deref(), Some("claviger-users"), "{answer}");
    assert!(answer.message().contains("create it in claviger."), "{answer}");
    let made = make_user("claviger", "bob").send(&admin).await?;
    assert_eq!(made.status, 201, "{made}");
    let changed = Call::patch(
        format!("{}/bob", resources("claviger", "oidcusers")),
        "application/merge-patch+json",
        json!({ "spec": { "disabled": true } }),
    );
    let changed = changed.send(&admin).await?;
    assert_eq!(changed.status, 200, "{changed}");
    Ok(())
}
