//! What there is to steal.

use anyhow::{Context, Result};
use kube::Client;
use serde_json::{Value, json};
use testbed::raw::Call;

use super::{HOME, VAULT};
use crate::owned_secret::{make_client, make_user, owned_by_client, secrets};

/// In every key of a foreign Secret.
const KEY: &str = "l00t.key";
/// In every value, as people write it and as the API shows it (base64 of anything that begins so).
const VALUE: &str = "l00t: the crown jewels";
const SHOWN: [&str; 2] = ["l00t", "bDAwd"];

/// What the thief has found out about the cluster.
pub(super) struct World {
    /// The uid of the `OidcClient` shop in the vault.
    pub(super) shop: String,
    /// The uid of the `OidcUser` alice at home.
    pub(super) alice: String,
    /// Every foreign Secret, complete, as an administrator sees it.
    pub(super) secrets: Vec<Value>,
}

impl World {
    /// A Secret as claviger would write it for its client in the vault.
    pub(super) fn own_secret(&self, name: &str) -> Value {
        owned_by_client(name, "shop", &self.shop)
    }
}

/// Whether a text shows any part of a foreign Secret.
pub(super) fn shows_loot(text: &str) -> bool {
    SHOWN.iter().any(|mark| text.contains(mark))
}

/// The data of every foreign Secret.
pub(super) fn loot() -> Value {
    json!({ KEY: "bDAwdDogdGhlIGNyb3duIGpld2Vscw==" })
}

/// Makes the foreign Secrets and everything that they hang on.
pub(super) async fn furnish(admin: &Client) -> Result<World> {
    make(
        admin,
        Call::post(
            "/api/v1/namespaces",
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": VAULT } }),
        ),
    )
    .await?;
    let shop = uid(&make(admin, make_client(VAULT, "shop")).await?)?;
    let other = uid(&make(admin, make_client(VAULT, "other")).await?)?;
    let trap = uid(&make(admin, make_client("kube-system", "trap")).await?)?;
    let alice = uid(&make(admin, make_user(HOME, "alice")).await?)?;
    let config = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "config" }, "data": { KEY: VALUE } });
    let config = make(
        admin,
        Call::post(format!("/api/v1/namespaces/{VAULT}/configmaps"), config),
    )
    .await?;
    let config = uid(&config)?;

    let mut secrets_made = Vec::new();
    for (namespace, wanted) in wanted(&shop, &other, &trap, &config) {
        secrets_made.push(make(admin, Call::post(secrets(namespace), wanted)).await?);
    }
    Ok(World {
        shop,
        alice,
        secrets: secrets_made,
    })
}

/// Foreign Secrets: plain ones, and lookalikes that miss one sign of being claviger's.
fn wanted(shop: &str, other: &str, trap: &str, config: &str) -> Vec<(&'static str, Value)> {
    let plain = |name: &str, kind: &str| {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": name },
            "type": kind,
            "data": loot(),
        })
    };
    let lookalike = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut secret = owned_by_client(name, "shop", shop);
        secret["data"] = loot();
        change(&mut secret);
        (VAULT, secret)
    };
    let metadata = "metadata";
    let owners = "ownerReferences";
    let label = "app.kubernetes.io/managed-by";
    vec![
        (VAULT, plain("opaque", "Opaque")),
        (VAULT, plain("registry", "example.org/registry")),
        (HOME, plain("smtp", "Opaque")),
        (HOME, plain("typed-password", "example.org/password")),
        ("kube-system", plain("cloud", "Opaque")),
        lookalike("unlabelled", &|secret| secret[metadata]["labels"] = json!({})),
        lookalike("labelled-otherwise", &|secret| {
            secret[metadata]["labels"][label] = "Helm".into();
        }),
        lookalike("unowned", &|secret| secret[metadata][owners] = json!([])),
        lookalike("not-controlled", &|secret| {
            secret[metadata][owners][0]["controller"] = false.into();
        }),
        lookalike("owned-otherwise", &|secret| {
            secret[metadata][owners][0] = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "config", "uid": config, "controller": true });
        }),
        lookalike("of-another-client", &|secret| {
            secret[metadata][owners][0]["name"] = "other".into();
            secret[metadata][owners][0]["uid"] = other.into();
            // Its content is claviger's own.
            secret["data"] = json!({ "client-id": "bw==" });
        }),
        lookalike("immutable", &|secret| {
            secret[metadata][owners] = json!([]);
            secret["immutable"] = true.into();
        }),
        ("kube-system", {
            let mut secret = owned_by_client("in-the-system", "trap", trap);
            secret["data"] = loot();
            secret
        }),
    ]
}

fn uid(object: &Value) -> Result<String> {
    let uid = object["metadata"]["uid"].as_str().context("no uid")?;
    Ok(uid.to_owned())
}

async fn make(admin: &Client, call: Call) -> Result<Value> {
    let answer = call.send(admin).await?;
    anyhow::ensure!(answer.status == 201, "{call}: {answer}");
    Ok(answer.json())
}
