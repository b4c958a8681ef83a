//! From the chart of the first version to this one, with a live release.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::Client;
use serde_json::{Value, json};
use testbed::helm::{Helm, Major};
use testbed::raw::Call;
use testbed::{Cluster, ClusterOptions, poll};

use crate::owned_secret::{keyring, make_client, owned_by_client, resources, secret, secrets};
use crate::{PATIENCE, make, policy_in_force, release, render};

/// The first version as it was packaged.
fn first_version() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/first-version.tgz")
}

/// Everything that `values.yaml` of the first version says.
fn values_of_then() -> Value {
    json!({
        "issuer": "https://id.example.org",
        "image": { "repository": "claviger", "tag": "", "digest": "", "pullPolicy": "IfNotPresent" },
        "imagePullSecrets": [],
        "replicaCount": 0,
        "watchNamespaces": [],
        "crds": { "install": true, "keep": true },
        "keyring": { "secretName": "claviger-keyring" },
        "secretPolicy": { "allowedLabels": [], "allowedAnnotations": [] },
        "userPolicy": { "otherNamespaces": [] },
        "persistence": { "enabled": true, "existingClaim": "", "size": "1Gi", "storageClass": "" },
        "serviceAccount": { "create": true, "name": "", "annotations": {} },
        "service": { "type": "ClusterIP", "port": 80, "annotations": {} },
        "logging": { "format": "json", "filter": "info" },
        "resources": { "requests": { "cpu": "50m", "memory": "128Mi" }, "limits": { "memory": "512Mi" } },
        "podLabels": {},
        "podAnnotations": {},
        "nodeSelector": {},
        "tolerations": [],
        "affinity": {},
        "priorityClassName": "",
    })
}

/// A values file of the first version is one of this version, and means the same.
#[tokio::test]
async fn values_of_the_first_version_are_taken() {
    assert_eq!(
        render(values_of_then()).await,
        render(json!({ "replicaCount": 0 })).await
    );
}

/// What an upgrade must not touch: who it is, and for Secrets that nobody wrote it.
async fn marks(admin: &Client) -> Result<Vec<String>> {
    let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let mut marks = Vec::new();
    for (path, version) in [
        (format!("{crds}/oidcclients.claviger.dev"), false),
        (format!("{crds}/oidcusers.claviger.dev"), false),
        (format!("{}/shop", resources("default", "oidcclients")), false),
        (
            "/api/v1/namespaces/claviger/persistentvolumeclaims/claviger".to_owned(),
            false,
        ),
        (
            "/apis/apps/v1/namespaces/claviger/deployments/claviger".to_owned(),
            false,
        ),
        ("/api/v1/namespaces/claviger/services/claviger".to_owned(), false),
        (
            "/api/v1/namespaces/claviger/serviceaccounts/claviger".to_owned(),
            false,
        ),
        (secret("claviger", "claviger-keyring"), true),
        (secret("default", "shop-oidc"), true),
    ] {
        let answer = Call::get(&path).send(admin).await?;
        anyhow::ensure!(answer.status == 200, "{path}: {answer}");
        let metadata = answer.json()["metadata"].clone();
        let mut mark = format!("{path} {}", metadata["uid"]);
        if version {
            mark = format!("{mark} {}", metadata["resourceVersion"]);
        }
        marks.push(mark);
    }
    Ok(marks)
}

/// A release of the first version becomes one of this version, by either Helm and by Helm 4 where Helm 3 made it: nothing
/// that people or apps hold is made anew, and claviger's account goes on under its policy.
#[tokio::test(flavor = "multi_thread")]
async fn a_live_release_is_upgraded_in_place() -> Result<()> {
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let admin = cluster.client()?;
    let kubeconfig = cluster.kubeconfig();
    for (before, after) in [
        (Major::Three, Major::Three),
        (Major::Three, Major::Four),
        (Major::Four, Major::Four),
    ] {
        let old = Helm::new_of(before, &kubeconfig)?.with_chart(first_version());
        old.install(&release(values_of_then())).await?;
        let claviger = cluster.client_for_service_account("claviger", "claviger").await?;
        policy_in_force(&claviger).await?;
        let uid = poll::until("the kind to be served", PATIENCE, async || {
            Ok(Some(make(&admin, make_client("default", "shop")).await?))
        })
        .await?;
        let keys = Call::post(secrets("claviger"), keyring("claviger-keyring"));
        make(&claviger, keys).await?;
        let shop = owned_by_client("shop-oidc", "shop", &uid);
        make(&claviger, Call::post(secrets("default"), shop)).await?;
        let marked = marks(&admin).await?;

        let helm = Helm::new_of(after, &kubeconfig)?;
        for values in [
            values_of_then(),
            json!({ "replicaCount": 0, "service": { "port": 8000 } }),
        ] {
            helm.upgrade(&release(values))
                .await
                .with_context(|| format!("from {before:?} to {after:?}"))?;
            assert_eq!(marks(&admin).await?, marked, "from {before:?} to {after:?}");
        }
        policy_in_force(&claviger).await?;

        helm.uninstall(&release(json!({}))).await?;
        for left in [
            format!("{}/shop", resources("default", "oidcclients")),
            secret("claviger", "claviger-keyring"),
            secret("default", "shop-oidc"),
        ] {
            let answer = Call::delete(&left).send(&admin).await?;
            anyhow::ensure!(answer.status == 200, "{left}: {answer}");
        }
    }
    Ok(())
}
