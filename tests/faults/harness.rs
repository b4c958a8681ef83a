//! One cluster with the chart, and clavigers on it that reach it through a fault proxy, each with namespaces of its own.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use testbed::claviger::{Address, Claviger, ClavigerOptions};
use testbed::cluster::audit::AuditEvent;
use testbed::cluster::{self, Cluster, ClusterOptions};
use testbed::fault_proxy::FaultProxy;
use testbed::folder::Folder;
use testbed::relying_party::{Registration, RelyingParty};
use testbed::{Kind, Resources, installation, poll};

/// How long anything is waited for; most of it takes seconds.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);
/// claviger's own namespace.
pub(crate) const HOME: &str = "claviger";
/// On loopback any port will do, so nothing has to listen.
pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1/callback";

/// A cluster with the chart and the keyring.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    kubeconfig: PathBuf,
    user: String,
}

impl World {
    /// The one that all tests share whose faults are between claviger and the cluster. It ends with the program.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<World> = OnceLock::new();
        SHARED.get_or_init(|| cluster::block_on(Self::new()).unwrap())
    }

    /// A new one, for faults of the cluster itself.
    pub(crate) async fn new() -> anyhow::Result<Self> {
        let cluster = Cluster::start(ClusterOptions {
            audit_log: true,
            ..ClusterOptions::default()
        })
        .await?;
        let release = installation::release(&Address::choose()?, &json!({}));
        let account = installation::install_chart(&cluster, &release).await?;
        let kubeconfig = cluster
            .service_account_kubeconfig(&release.namespace, &account)
            .await?;
        let user = format!("system:serviceaccount:{HOME}:{account}");
        let world = Self {
            cluster,
            kubeconfig,
            user,
        };
        // The first one makes the keyring.
        world.serve(&["default"]).await.claviger.stop();
        Ok(world)
    }

    /// The cluster as its administrator sees it.
    pub(crate) fn resources(&self) -> Resources {
        Resources::new(self.cluster.client().unwrap())
    }

    /// A new namespace.
    pub(crate) async fn namespace(&self, prefix: &str) -> String {
        self.cluster.temp_namespace(prefix).await.unwrap()
    }

    /// A ready claviger with an empty store for these namespaces, or all.
    pub(crate) async fn serve(&self, namespaces: &[&str]) -> Served {
        let mut served = self.launch(namespaces, |_| ()).await;
        served.claviger.wait_until_ready().await.unwrap();
        served
    }

    /// The same with other options, and it does not wait for anything.
    pub(crate) async fn launch(
        &self,
        namespaces: &[&str],
        adjust: impl FnOnce(&mut ClavigerOptions),
    ) -> Served {
        let folder = Folder::new("faults").unwrap();
        let proxy = FaultProxy::start(&self.cluster).await.unwrap();
        self.launch_by(proxy, folder, namespaces, adjust)
    }

    /// The same, by a proxy that has its faults already.
    pub(crate) fn launch_by(
        &self,
        proxy: FaultProxy,
        folder: Folder,
        namespaces: &[&str],
        adjust: impl FnOnce(&mut ClavigerOptions),
    ) -> Served {
        let log = folder.join("claviger.log");
        let mut options = ClavigerOptions::new(env!("CARGO_BIN_EXE_claviger").as_ref(), &log);
        options.kubeconfig = Some(proxy.kubeconfig(&self.kubeconfig, &folder).unwrap());
        // The writes of the heal sweep would be counted among those that a fault made.
        options.arguments = vec!["--log-format=json".to_owned(), "--heal-interval=0s".to_owned()];
        if !namespaces.is_empty() {
            options
                .arguments
                .push(format!("--watch-namespaces={}", namespaces.join(",")));
        }
        adjust(&mut options);
        let claviger = Claviger::launch(Address::choose().unwrap(), options).unwrap();
        Served {
            claviger,
            proxy,
            resources: self.resources(),
            _folder: folder,
        }
    }

    /// What claviger asked of the API server about this namespace, oldest first.
    pub(crate) fn requests(&self, namespace: &str) -> Vec<AuditEvent> {
        let mut events = self.cluster.audit_events().unwrap();
        events.retain(|event| event.user == self.user && event.namespace == namespace);
        events
    }

    /// The changes among them that the API server took.
    pub(crate) fn writes(&self, namespace: &str) -> Vec<AuditEvent> {
        let mut events = self.requests(namespace);
        events.retain(|event| event.is_write() && event.code < 300);
        events
    }
}

/// A running claviger with its way to the cluster.
pub(crate) struct Served {
    pub(crate) claviger: Claviger,
    pub(crate) proxy: FaultProxy,
    pub(crate) resources: Resources,
    _folder: Folder,
}

impl Served {
    /// Applies an `OidcClient` and does not wait for anything.
    pub(crate) async fn apply(&self, namespace: &str, name: &str) {
        let spec = json!({ "redirectUris": [REDIRECT_URI] });
        self.resources
            .create(Kind::OidcClient, namespace, name, spec)
            .await
            .unwrap();
    }

    /// Changes it.
    pub(crate) async fn change(&self, namespace: &str, name: &str, spec: Value) {
        self.resources
            .change(Kind::OidcClient, namespace, name, spec)
            .await
            .unwrap();
    }

    /// Deletes it.
    pub(crate) async fn delete(&self, namespace: &str, name: &str) {
        self.resources
            .delete(Kind::OidcClient, namespace, name)
            .await
            .unwrap();
    }

    /// Waits until it is Ready as it is now, and gives the app that has mounted its Secret.
    pub(crate) async fn app(&self, namespace: &str, name: &str) -> RelyingParty {
        self.resources
            .wait_until_ready(Kind::OidcClient, namespace, name)
            .await
            .unwrap();
        let secret = self
            .resources
            .secret(namespace, &format!("{name}-oidc"))
            .await
            .unwrap();
        RelyingParty::discover(Registration {
            // Nobody asks the issuer by this name: each claviger of a test has an address of its own.
            issuer: self.claviger.issuer(),
            client_id: secret["OIDC_CLIENT_ID"].clone(),
            client_secret: secret.get("OIDC_CLIENT_SECRET").cloned(),
            redirect_uri: REDIRECT_URI.to_owned(),
        })
        .await
        .unwrap()
    }

    /// The app of each of these.
    pub(crate) async fn apps(&self, namespace: &str, names: &[String]) -> Vec<RelyingParty> {
        futures::future::join_all(names.iter().map(|name| self.app(namespace, name))).await
    }

    /// Waits until all of these apps are refused.
    pub(crate) async fn wait_until_refused(&self, apps: &[RelyingParty]) {
        for app in apps {
            poll::until("a client to be refused", PATIENCE, async || {
                Ok((!app.authenticates().await?).then_some(()))
            })
            .await
            .unwrap();
        }
    }

    /// How often a whole list of this plural was asked for, page after page counted once.
    pub(crate) fn lists(&self, plural: &str) -> usize {
        let exchanges = self.proxy.exchanges();
        exchanges
            .iter()
            .filter(|exchange| exchange.asked.is_list(plural) && !exchange.asked.is_continued())
            .count()
    }

    /// Waits for a line of the log with this in it.
    pub(crate) async fn wait_for_log(&self, text: &str) -> String {
        poll::until(text, PATIENCE, async || {
            let log = self.claviger.log();
            Ok(log.lines().find(|line| line.contains(text)).map(str::to_owned))
        })
        .await
        .unwrap()
    }

    /// It runs, is the same process as ever, and nothing in it panicked.
    pub(crate) fn check_sound(&mut self) {
        self.claviger.process().check_alive().unwrap();
        let log = self.claviger.log();
        assert!(!log.contains("panicked"), "{log}");
    }
}

/// The names of so many resources.
pub(crate) fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

/// Prints the verdict of an experiment that passed.
pub(crate) fn passed(experiment: &str, seed: u64, verdict: &str) {
    println!("experiment {experiment}, seed {seed}: passed: {verdict}");
}
