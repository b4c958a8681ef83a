//! The control plane of the tests is real, counts what is asked of it, survives an outage and leaves nothing behind.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use testbed::{Cluster, ClusterOptions, poll};

const PATIENCE: Duration = Duration::from_mins(1);

fn named<K: Default>(name: &str, set: impl FnOnce(&mut K, ObjectMeta)) -> K {
    let mut object = K::default();
    set(
        &mut object,
        ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
    );
    object
}

async fn create_config_map(client: &Client, namespace: &str, name: &str) -> kube::Result<ConfigMap> {
    let config_map = named::<ConfigMap>(name, |object, metadata| object.metadata = metadata);
    Api::namespaced(client.clone(), namespace)
        .create(&PostParams::default(), &config_map)
        .await
}

/// What one program needs of a cluster, step by step, since each cluster costs seconds.
#[tokio::test(flavor = "multi_thread")]
async fn serves_counts_and_survives_an_outage() -> Result<()> {
    let cluster = Cluster::start(ClusterOptions {
        audit_log: true,
        ..ClusterOptions::default()
    })
    .await?;
    let client = cluster.client()?;
    let namespace = cluster.temp_namespace("bed").await?;

    // A ServiceAccount without any role is known by its name and refused.
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
    let account = named::<ServiceAccount>("nobody", |object, metadata| object.metadata = metadata);
    accounts.create(&PostParams::default(), &account).await?;
    let nobody = cluster.client_for_service_account(&namespace, "nobody").await?;
    let refused = create_config_map(&nobody, &namespace, "mine").await.unwrap_err();
    assert!(
        matches!(&refused, kube::Error::Api(status) if status.is_forbidden()),
        "{refused}"
    );

    // The token file of its kubeconfig is a token of the same account.
    let kubeconfig = cluster.service_account_kubeconfig(&namespace, "nobody").await?;
    let by_file = kube::Config::from_custom_kubeconfig(
        kube::config::Kubeconfig::read_from(&kubeconfig)?,
        &kube::config::KubeConfigOptions::default(),
    )
    .await?;
    let refused = create_config_map(&Client::try_from(by_file)?, &namespace, "mine")
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, kube::Error::Api(status) if status.is_forbidden()),
        "{refused}"
    );

    // The audit log has both attempts under the account's name, and a dry run is told from a write.
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let secret = named::<Secret>("dry", |object, metadata| object.metadata = metadata);
    Api::<Secret>::namespaced(client.clone(), &namespace)
        .create(&dry, &secret)
        .await?;
    let user = format!("system:serviceaccount:{namespace}:nobody");
    let events = cluster.audit_events()?;
    let writes = events
        .iter()
        .filter(|event| event.user == user && event.is_write())
        .collect::<Vec<_>>();
    assert_eq!(writes.len(), 2, "{writes:?}");
    assert!(
        writes
            .iter()
            .all(|event| event.code == 403 && event.resource == "configmaps"),
        "{writes:?}"
    );
    let dry = events
        .iter()
        .find(|event| event.resource == "secrets" && event.verb == "create")
        .context("none")?;
    assert!(dry.dry_run && !dry.is_write(), "{dry:?}");

    // An outage takes the server away and nothing that it has kept.
    create_config_map(&client, &namespace, "kept").await?;
    cluster.stop_api_server();
    let config_maps: Api<ConfigMap> = Api::namespaced(cluster.client()?, &namespace);
    let answer = tokio::time::timeout(Duration::from_secs(1), config_maps.get("kept")).await;
    assert!(!matches!(answer, Ok(Ok(_))), "a stopped API server has answered");
    cluster.start_api_server().await?;
    config_maps.get("kept").await?;

    // A deleted namespace goes, which takes the controllers.
    cluster.start_controller_manager().await?;
    cluster.delete_namespace(&namespace).await?;
    let namespaces: Api<Namespace> = Api::all(client);
    poll::until("the namespace to go", PATIENCE, async || {
        Ok(namespaces.get_opt(&namespace).await?.is_none().then_some(()))
    })
    .await
}

/// However a program ends, it leaves no process, no listener and no folder.
#[tokio::test]
async fn a_program_that_is_told_to_end_or_killed_leaves_nothing() -> Result<()> {
    for signal in ["INT", "TERM", "KILL"] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_testbed"))
            .arg("cluster")
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to start testbed")?;
        let mut kubeconfig = String::new();
        BufReader::new(program.stdout.take().context("no output")?).read_line(&mut kubeconfig)?;
        let folder = Path::new(kubeconfig.trim())
            .parent()
            .context("no folder")?
            .to_owned();
        assert!(folder.is_dir(), "{}", folder.display());
        let servers = processes_naming(&folder);
        assert_eq!(servers.len(), 2, "{servers:?}");

        Command::new("kill")
            .args(["-s", signal, &program.id().to_string()])
            .status()?;
        let status = program.wait()?;
        assert_eq!(status.success(), signal != "KILL", "{signal}: {status}");

        poll::until("everything to go", PATIENCE, async || {
            Ok((processes_naming(&folder).is_empty() && !folder.exists()).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// The command lines of all processes that have a path in their arguments.
fn processes_naming(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&folder))
        .collect()
}
