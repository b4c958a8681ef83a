//! A release's life on a real API server: install, upgrade, uninstall, install again.

use anyhow::{Context, Result};
use kube::Client;
use serde_json::{Value, json};
use testbed::helm::{Helm, Major};
use testbed::kubectl::Kubectl;
use testbed::raw::Call;
use testbed::{Cluster, ClusterOptions, poll, tools};

use crate::owned_secret::{keyring, make_client, owned_by_client, resources, secret, secrets};
use crate::{PATIENCE, denied_by, first_user, make, object, policy_in_force, reach, release, render};

const NAMESPACES: &str = "/api/v1/namespaces";
const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/claviger/deployments/claviger";

pub(crate) async fn status(client: &Client, path: &str) -> Result<u16> {
    Ok(Call::get(path).send(client).await?.status)
}

fn namespace(name: &str, labels: &Value) -> Call {
    Call::post(
        NAMESPACES,
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } }),
    )
}

/// The manifests that a text shows between `<<'MANIFEST'` and `MANIFEST`.
fn manifests(text: &str) -> Vec<String> {
    text.split("<<'MANIFEST'\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("  MANIFEST\n"))
        .map(|(manifest, _)| manifest.to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_lives_and_leaves_what_matters_with_helm_3() -> Result<()> {
    a_release_lives_and_leaves_what_matters(Major::Three).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_lives_and_leaves_what_matters_with_helm_4() -> Result<()> {
    a_release_lives_and_leaves_what_matters(Major::Four).await
}

async fn a_release_lives_and_leaves_what_matters(major: Major) -> Result<()> {
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let admin = cluster.client()?;
    let helm = Helm::new_of(major, &cluster.kubeconfig())?;
    let restricted = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
    make(&admin, namespace("claviger", &restricted)).await?;

    // The first installation leaves the custom resource definitions to somebody else.
    helm.install(&release(json!({ "crds": { "install": false } })))
        .await?;
    let crd = format!("{CRDS}/oidcclients.claviger.dev");
    assert_eq!(status(&admin, &crd).await?, 404);
    // An upgrade brings them.
    let notes = helm.upgrade(&release(json!({}))).await?;
    assert_eq!(status(&admin, &crd).await?, 200);
    let claviger = cluster.client_for_service_account("claviger", "claviger").await?;
    policy_in_force(&claviger).await?;

    the_notes_work(&cluster, &notes).await?;
    the_pod_is_restricted(&admin).await?;
    the_pod_of_the_test_is_restricted(&admin).await?;
    a_refused_value_changes_nothing(&helm, &admin).await?;
    the_policy_follows_the_values(&helm, &admin, &claviger).await?;

    // What is left after the release is what people have made, and the keys.
    let keys = Call::post(secrets("claviger"), keyring("claviger-keyring"));
    assert_eq!(keys.send(&claviger).await?.status, 201);
    let client = format!("{}/shop", resources("default", "oidcclients"));
    helm.uninstall(&release(json!({}))).await?;
    for gone in [
        DEPLOYMENT,
        &format!("{POLICIES}/claviger-secrets"),
        &format!("{POLICIES}/claviger-users"),
    ] {
        assert_eq!(status(&admin, gone).await?, 404, "{gone}");
    }
    for kept in [&crd, &client, &secret("claviger", "claviger-keyring")] {
        assert_eq!(status(&admin, kept).await?, 200, "{kept}");
    }

    // It can be installed again over what is left.
    helm.install(&release(json!({ "crds": { "keep": false } })))
        .await?;
    assert_eq!(status(&admin, &client).await?, 200);
    // And without crds.keep everything goes.
    helm.uninstall(&release(json!({}))).await?;
    poll::until("the custom resource definitions to go", PATIENCE, async || {
        Ok((status(&admin, &crd).await? == 404).then_some(()))
    })
    .await?;

    everything_at_once(&cluster, &helm).await?;
    first_user::is_made_once(&cluster, &helm).await
}

/// The API server takes every object that the chart can make, also of the kinds of other projects, by their own schemas.
async fn everything_at_once(cluster: &Cluster, helm: &Helm) -> Result<()> {
    let kubectl = Kubectl::new(&cluster.kubeconfig())?;
    let definitions = tools::foreign_definitions()?;
    for name in [
        "gateway.networking.k8s.io_httproutes.yaml",
        "cert-manager.io_certificates.yaml",
    ] {
        let file = definitions.join(name);
        let file = file.to_str().context("a path that is no text")?;
        kubectl
            .run(&["apply", "--server-side", "--filename", file])
            .await?;
    }
    for definition in [
        "httproutes.gateway.networking.k8s.io",
        "certificates.cert-manager.io",
    ] {
        let name = format!("customresourcedefinition/{definition}");
        kubectl
            .run(&["wait", "--for=condition=Established", "--timeout=60s", &name])
            .await?;
    }
    let values = reach::everything();
    // The kinds are established before they can be found.
    poll::until("everything to be installed", PATIENCE, async || {
        let installed = helm.upgrade_or_install(&release(values.clone())).await;
        match installed {
            Err(error) if format!("{error:#}").contains("no matches for kind") => Ok(None),
            Err(error) => Err(error),
            Ok(notes) => Ok(Some(notes)),
        }
    })
    .await?;
    let admin = cluster.client()?;
    for path in reach::paths() {
        assert_eq!(status(&admin, path).await?, 200, "{path}");
    }
    the_pod_is_restricted(&admin).await?;
    // And all of it can go again, one by one.
    helm.upgrade(&release(json!({}))).await?;
    for path in reach::paths() {
        assert_eq!(status(&admin, path).await?, 404, "{path}");
    }
    helm.uninstall(&release(json!({}))).await?;
    Ok(())
}

/// Whoever copies what the notes show gets it applied.
async fn the_notes_work(cluster: &Cluster, notes: &str) -> Result<()> {
    assert!(
        notes.contains("https://id.example.org/.well-known/openid-configuration"),
        "{notes}"
    );
    let kubectl = Kubectl::new(&cluster.kubeconfig())?;
    let shown = manifests(notes);
    assert_eq!(shown.len(), 2, "{notes}");
    let admin = cluster.client()?;
    for manifest in shown {
        poll::until("the kinds to be served", PATIENCE, async || {
            Ok(Some(kubectl.apply(&manifest).await?))
        })
        .await?;
    }
    let user = format!("{}/alice", resources("claviger", "oidcusers"));
    assert_eq!(status(&admin, &user).await?, 200);
    let client = format!("{}/shop", resources("default", "oidcclients"));
    assert_eq!(status(&admin, &client).await?, 200);
    let shown = kubectl
        .run(&["--namespace", "default", "get", "oidcclients"])
        .await?;
    assert!(shown.contains("shop") && shown.contains("Unknown"), "{shown}");
    Ok(())
}

/// The API server's own Pod Security admission takes the pod in a restricted namespace, and would refuse it if it were
/// any less restricted.
async fn the_pod_is_restricted(admin: &Client) -> Result<()> {
    let deployment = Call::get(DEPLOYMENT).send(admin).await?.json();
    is_restricted(admin, deployment["spec"]["template"]["spec"].clone()).await
}

/// And so is that of `helm test`.
async fn the_pod_of_the_test_is_restricted(admin: &Client) -> Result<()> {
    let values = json!({ "tls": { "enabled": true, "secretName": "x" } });
    let mut spec = object(&render(values).await, "Pod", "claviger-test")["spec"].clone();
    // The admission of accounts wants this one to be there, and no controller has made it.
    spec["serviceAccountName"] = "claviger".into();
    is_restricted(admin, spec).await
}

async fn is_restricted(admin: &Client, spec: Value) -> Result<()> {
    let pod = |spec: &Value| {
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": "claviger-0" },
            "spec": spec,
        });
        Call::post(format!("{NAMESPACES}/claviger/pods"), pod).dry_run()
    };
    let taken = pod(&spec).send(admin).await?;
    assert_eq!(taken.status, 201, "{taken}");
    for less in [
        "/securityContext/runAsNonRoot",
        "/securityContext/seccompProfile",
        "/containers/0/securityContext/capabilities",
        "/containers/0/securityContext/allowPrivilegeEscalation",
    ] {
        let mut spec = spec.clone();
        *spec.pointer_mut(less).context(less)? = Value::Null;
        let refused = pod(&spec).send(admin).await?;
        assert_eq!(refused.status, 403, "{less}: {refused}");
        assert!(refused.message().contains("PodSecurity"), "{less}: {refused}");
    }
    Ok(())
}

async fn a_refused_value_changes_nothing(helm: &Helm, admin: &Client) -> Result<()> {
    let generation = async || -> Result<Value> {
        Ok(Call::get(DEPLOYMENT).send(admin).await?.json()["metadata"]["generation"].clone())
    };
    let before = generation().await?;
    for (values, words) in [
        (
            json!({ "replicaCount": 2 }),
            "the embedded store belongs to one process",
        ),
        (json!({ "replicas": 1 }), "additional propert"),
        (
            json!({ "issuer": "http://id.example.org" }),
            "plain http is allowed only on",
        ),
    ] {
        let refused = helm.upgrade(&release(values)).await.unwrap_err();
        let refused = format!("{refused:#}").to_lowercase();
        assert!(refused.contains(words), "{refused}");
    }
    assert_eq!(generation().await?, before);
    Ok(())
}

/// The namespaces that are watched and the labels that are allowed are what the policy allows.
async fn the_policy_follows_the_values(helm: &Helm, admin: &Client, claviger: &Client) -> Result<()> {
    let label = "argocd.argoproj.io/secret-type";
    for name in ["team-a", "team-b"] {
        make(admin, namespace(name, &json!({}))).await?;
    }
    let uid = make(admin, make_client("team-a", "shop")).await?;
    let mut labelled = owned_by_client("shop-oidc", "shop", &uid);
    labelled["metadata"]["labels"][label] = "cluster".into();
    let labelled = Call::post(secrets("team-a"), labelled).dry_run();
    let elsewhere = Call::post(secrets("team-b"), owned_by_client("shop-oidc", "shop", &uid)).dry_run();
    let answer = labelled.send(claviger).await?;
    assert!(answer.message().contains("carry only labels"), "{answer}");
    assert_eq!(elsewhere.send(claviger).await?.status, 201);

    let values = json!({
        "watchNamespaces": ["team-a"],
        "secretPolicy": { "allowedLabels": [label] },
        "replicaCount": 0,
    });
    helm.upgrade(&release(values)).await?;
    poll::until("the policy to follow", PATIENCE, async || {
        let answer = elsewhere.send(claviger).await?;
        Ok((answer.message().contains("the namespaces that it watches")
            && denied_by(&answer).as_deref() == Some("claviger-secrets"))
        .then_some(()))
    })
    .await?;
    let answer = labelled.send(claviger).await?;
    assert_eq!(answer.status, 201, "{answer}");
    let deployment = Call::get(DEPLOYMENT).send(admin).await?.json();
    assert_eq!(deployment["spec"]["replicas"], 0);
    Ok(())
}
