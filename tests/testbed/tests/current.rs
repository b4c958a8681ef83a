//! `make run CLUSTER=current` on a cluster of somebody's: it asks, refuses where claviger is, and leaves what it found.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use testbed::helm::{Helm, Release};
use testbed::kubectl::Kubectl;
use testbed::{Cluster, ClusterOptions, poll};

const PATIENCE: Duration = Duration::from_mins(2);

/// Runs to the end with somebody's kubeconfig, and nobody at the terminal.
async fn run(cluster: &Cluster, arguments: &[&str]) -> Result<(bool, String)> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_testbed"));
    program
        .args(["run", "--once", "--cluster=current"])
        .args(arguments)
        .env("KUBECONFIG", cluster.kubeconfig())
        .stdin(Stdio::null());
    let Output {
        status,
        stdout,
        stderr,
    } = tokio::task::spawn_blocking(move || program.output()).await??;
    let said = [stdout, stderr].concat();
    Ok((status.success(), String::from_utf8_lossy(&said).into_owned()))
}

/// Names of everything of a kind, but what others than a run make.
async fn everything(kubectl: &Kubectl) -> Result<Vec<String>> {
    let kinds = "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,\
                 validatingadmissionpolicies,validatingadmissionpolicybindings";
    let names = kubectl.run(&["get", kinds, "--output=name"]).await?;
    let secrets = ["get", "secrets", "--all-namespaces", "--output=name"];
    let secrets = kubectl.run(&secrets).await?;
    Ok(names.lines().chain(secrets.lines()).map(str::to_owned).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_on_somebodys_cluster_leaves_it_as_it_was() -> Result<()> {
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    cluster.start_controller_manager().await?;
    let kubectl = Kubectl::new(&cluster.kubeconfig())?;
    kubectl.run(&["create", "namespace", "team-a"]).await?;
    // Roles are aggregated once, shortly after the start.
    let before = poll::until("the cluster to settle", PATIENCE, async || {
        let first = everything(&kubectl).await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok((everything(&kubectl).await? == first).then_some(first))
    })
    .await?;

    // The context of the testbed's kubeconfigs is called testbed.
    let (done, said) = run(&cluster, &[]).await?;
    assert!(!done, "{said}");
    assert!(said.contains("The current kubectl context is testbed"), "{said}");
    assert!(said.contains("make run CLUSTER=current YES=testbed"), "{said}");
    let (done, said) = run(&cluster, &["--yes=production"]).await?;
    assert!(
        !done && said.contains("YES=production says another one"),
        "{said}"
    );
    assert_eq!(everything(&kubectl).await?, before);

    let (done, said) = run(&cluster, &["--yes=testbed"]).await?;
    assert!(done, "{said}");
    for line in [
        "Every check held",
        "Userinfo says who it is",
        "Removed the release claviger-run-",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!(everything(&kubectl).await?, before);

    // Where claviger is, or was, nothing is touched.
    let helm = Helm::new(&cluster.kubeconfig())?;
    let release = Release::new(json!({ "issuer": "https://id.example.org", "replicaCount": 0 }));
    helm.install(&Release {
        values: json!({ "issuer": "https://id.example.org", "replicaCount": 0, "crds": { "install": false } }),
        ..release.clone()
    })
    .await?;
    let installed = everything(&kubectl).await?;
    let (done, said) = run(&cluster, &["--yes=testbed"]).await?;
    assert!(!done, "{said}");
    assert!(
        said.contains(
            "has the release claviger of claviger in the namespace claviger already; nothing was changed"
        ),
        "{said}"
    );
    assert_eq!(everything(&kubectl).await?, installed);
    helm.upgrade(&release).await?;
    helm.uninstall(&release).await?;
    let installed = everything(&kubectl).await?;
    let (done, said) = run(&cluster, &["--yes=testbed"]).await?;
    assert!(!done, "{said}");
    let words = "has the custom resource definition oidcclients.claviger.dev already";
    assert!(said.contains(words), "{said}");
    assert_eq!(everything(&kubectl).await?, installed);

    // Without a current context there is nothing to begin with.
    let mut program = Command::new(env!("CARGO_BIN_EXE_testbed"));
    program
        .args(["run", "--cluster=current"])
        .env("KUBECONFIG", "/dev/null")
        .stdin(Stdio::null());
    let output = program.output().context("failed to run the testbed")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("kubectl has no current context"), "{said}");
    Ok(())
}
