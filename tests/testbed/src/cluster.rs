//! A Kubernetes control plane of our own on loopback: etcd, kube-apiserver and, when asked for,
//! kube-controller-manager. No nodes, so nothing that is a pod runs; everything else is real.

pub mod audit;
mod control_plane;
mod credentials;
mod service_account;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use serde_json::Value;

use crate::cluster::audit::AuditEvent;
use crate::cluster::control_plane::{Addresses, ControlPlane};
use crate::cluster::credentials::Credentials;
use crate::folder::Folder;
use crate::poll;

/// How long a server of the control plane may take to come up; four seconds on an idle machine.
const START: Duration = Duration::from_mins(2);

/// What differs between the clusters of different tests.
#[derive(Clone, Debug, Default)]
pub struct ClusterOptions {
    /// Writes down every request; see [`Cluster::audit_events`].
    pub audit_log: bool,
    /// The folder for the servers' logs, if not one that goes away with the cluster.
    pub logs: Option<PathBuf>,
    /// The `AuthenticationConfiguration` of the API server: the issuers whose ID tokens it takes.
    pub authentication: Option<String>,
}

/// A running control plane, or a cluster of somebody's. Dropping it ends the processes that are ours and removes its
/// folder.
pub struct Cluster {
    // Processes are dropped before the folder they write into.
    own: Option<Own>,
    refreshers: Mutex<Vec<service_account::Refresher>>,
    credentials: Credentials,
    logs: PathBuf,
    folder: Folder,
}

/// What only a control plane of ours has.
struct Own {
    plane: Mutex<ControlPlane>,
    addresses: Addresses,
}

impl Cluster {
    /// A cluster of somebody's, by a kubeconfig with nothing but the context to use, everything of it inline.
    pub fn of(kubeconfig: &Value, logs: PathBuf) -> Result<Self> {
        let folder = Folder::new("cluster")?;
        let credentials = Credentials::of(kubeconfig)?;
        folder.write("admin.kubeconfig", credentials.admin())?;
        Ok(Self {
            own: None,
            refreshers: Mutex::default(),
            credentials,
            logs,
            folder,
        })
    }

    /// Starts etcd and the API server and waits until it is ready and has made its own namespaces.
    pub async fn start(options: ClusterOptions) -> Result<Self> {
        let binaries = tokio::task::spawn_blocking(crate::tools::kube).await??;
        let folder = Folder::new("cluster")?;
        let addresses = Addresses::choose()?;
        let credentials = Credentials::make(&folder, &addresses)?;
        let logs = options.logs.clone().unwrap_or_else(|| folder.join("logs"));
        let plane = ControlPlane::start(binaries, &folder, &addresses, &options, &logs)?;
        let cluster = Self {
            own: Some(Own {
                plane: Mutex::new(plane),
                addresses,
            }),
            refreshers: Mutex::default(),
            credentials,
            logs,
            folder,
        };
        cluster.wait_until_ready().await?;
        Ok(cluster)
    }

    /// [`Cluster::start`] for callers outside of any runtime, or in one that may end before the cluster does.
    pub fn start_blocking(options: ClusterOptions) -> Result<Self> {
        block_on(Self::start(options))
    }

    /// The one cluster that all tests of a test program share, with an audit log. It ends with the program.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| {
                Self::start_blocking(ClusterOptions {
                    audit_log: true,
                    ..ClusterOptions::default()
                })
                .map_err(|error| format!("{error:#}"))
            })
            .as_ref()
            .map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// Starts the controllers that collect garbage, empty namespaces, make default ServiceAccounts, aggregate roles.
    /// Only after the custom resource definitions are there, or the first collection waits for most of a minute.
    /// A cluster of somebody's has its own.
    pub async fn start_controller_manager(&self) -> Result<()> {
        let Some(own) = &self.own else { return Ok(()) };
        own.plane().start_controller_manager(&self.folder)?;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client()?, "kube-system");
        let what = "the controller manager to make the default ServiceAccount";
        let look = async || Ok(accounts.get_opt("default").await?);
        poll::until_unless(what, START, || own.plane().check_alive(), look).await?;
        Ok(())
    }

    /// Ends the API server, as in an outage. etcd and everything in it stays.
    pub fn stop_api_server(&self) {
        if let Some(own) = &self.own {
            own.plane().stop_api_server();
        }
    }

    /// Starts the API server again, on the same port, and waits until it is ready.
    pub async fn start_api_server(&self) -> Result<()> {
        let own = self
            .own
            .as_ref()
            .context("this API server is not ours to start")?;
        own.plane().start_api_server(&self.folder, &own.addresses)?;
        self.wait_until_ready().await
    }

    /// Makes etcd forget everything but how it is now, as the API server does from time to time. Gives the revision.
    pub async fn compact(&self) -> Result<i64> {
        let own = self
            .own
            .as_ref()
            .context("the etcd of somebody's cluster is not ours")?;
        let etcd = reqwest::Client::builder().no_proxy().build()?;
        let ask = async |path: &str, body: serde_json::Value| -> Result<serde_json::Value> {
            let url = format!("{}{path}", own.addresses.etcd_url());
            // Its gateway does not look at the type of what it is sent.
            let answer = etcd.post(url).body(body.to_string()).send().await?;
            let answer = answer.error_for_status().context("etcd refuses")?;
            Ok(serde_json::from_str(&answer.text().await?)?)
        };
        let now = ask("/v3/kv/range", serde_json::json!({ "key": "AA==" })).await?;
        let revision = now["header"]["revision"]
            .as_str()
            .context("etcd names no revision")?;
        ask(
            "/v3/kv/compaction",
            serde_json::json!({ "revision": revision, "physical": true }),
        )
        .await?;
        Ok(revision.parse()?)
    }

    /// The path of the administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    /// The URL of the API server.
    pub fn url(&self) -> String {
        self.credentials.server()
    }

    /// The folder with the logs of the servers.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// A client with all rights, for the runtime that calls this.
    pub fn client(&self) -> Result<Client> {
        credentials::client(&self.credentials.admin())
    }

    /// A client with the rights of a ServiceAccount, good for an hour, for the runtime that calls this.
    pub async fn client_for_service_account(&self, namespace: &str, name: &str) -> Result<Client> {
        let token = service_account::token(&self.client()?, namespace, name).await?;
        credentials::client(&self.credentials.kubeconfig(&token))
    }

    /// The path of a kubeconfig with a ServiceAccount's token in a file, which is renewed while the cluster lives, as
    /// the kubelet does it for a pod.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let client = self.client()?;
        let file = self.folder.join(&format!("{namespace}.{name}.token"));
        service_account::write(&file, &service_account::token(&client, namespace, name).await?)?;
        let kubeconfig = self.credentials.kubeconfig_with_token_file(&file);
        let path = self
            .folder
            .write(&format!("{namespace}.{name}.kubeconfig"), kubeconfig)?;
        let refresher = service_account::Refresher::start(
            self.credentials.admin(),
            service_account::Account {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                file,
            },
        );
        lock(&self.refreshers).push(refresher);
        Ok(path)
    }

    /// What the API server has done so far, oldest first; needs the audit log.
    pub fn audit_events(&self) -> Result<Vec<AuditEvent>> {
        audit::read(&self.logs.join("audit.log"))
    }

    /// A new namespace whose name begins as given.
    pub async fn temp_namespace(&self, prefix: &str) -> Result<String> {
        let namespaces: Api<Namespace> = Api::all(self.client()?);
        let wanted = Namespace {
            metadata: ObjectMeta {
                generate_name: Some(format!("{prefix}-")),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let made = namespaces
            .create(&PostParams::default(), &wanted)
            .await
            .with_context(|| format!("failed to make a namespace {prefix}-…"))?;
        made.metadata
            .name
            .context("the API server made a namespace without a name")
    }

    /// Deletes a namespace and does not wait for it to be empty.
    pub async fn delete_namespace(&self, name: &str) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client()?);
        namespaces.delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    async fn wait_until_ready(&self) -> Result<()> {
        let client = self.client()?;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let look = async || {
            client.request_text(http_get("/readyz")?).await?;
            // Both are made shortly after the server says that it is ready.
            let default = namespaces.get_opt("default").await?;
            Ok(namespaces.get_opt("kube-system").await?.and(default))
        };
        poll::until_unless(
            "the API server to be ready",
            START,
            || self.own.as_ref().map_or(Ok(()), |own| own.plane().check_alive()),
            look,
        )
        .await?;
        Ok(())
    }
}

impl Own {
    fn plane(&self) -> MutexGuard<'_, ControlPlane> {
        lock(&self.plane)
    }
}

/// Runs a future on a thread and a runtime of its own, which works inside of another runtime too.
pub fn block_on<T: Send>(future: impl Future<Output = Result<T>> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("failed to start a runtime")?
                .block_on(future)
        });
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn http_get(path: &str) -> Result<http::Request<Vec<u8>>> {
    http::Request::get(path)
        .body(Vec::new())
        .context("failed to build a request")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
