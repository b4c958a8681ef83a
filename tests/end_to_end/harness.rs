//! One cluster with the chart for all tests, and clavigers on it that a test starts and ends.
//!
//! Each claviger watches a namespace of its own, so that no two of them register the same `OidcClient`; they share the
//! keyring and the people of claviger's own namespace, as one claviger after another would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use claviger::crd::v1alpha1::{OidcClient, OidcUser};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use testbed::browser::Browser;
use testbed::claviger::{Address, Claviger, ClavigerOptions};
use testbed::cluster::{self, Cluster, ClusterOptions};
use testbed::folder::Folder;
use testbed::relying_party::{AuthorizationRequest, Registration, RelyingParty, Tokens};
use testbed::{installation, poll};

/// How long a test waits for something that takes well under a second on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
/// claviger's own namespace.
pub(crate) const HOME: &str = "claviger";
/// A person whom every claviger knows from its first list on.
pub(crate) const USERNAME: &str = "ada";
/// Her password.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// On loopback any port will do, so nothing has to listen.
pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1/callback";
/// Everything that a client may ask for by default.
pub(crate) const SCOPE: &str = "openid profile email groups offline_access";

/// Where a claviger keeps what it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreKind {
    Memory,
    Sled,
}

/// A cluster with the chart, the keyring and one person.
pub(crate) struct World {
    pub(crate) cluster: Cluster,
    kubeconfig: PathBuf,
}

impl World {
    /// The one that all tests share. It ends with the program.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<World> = OnceLock::new();
        SHARED.get_or_init(|| cluster::block_on(Self::new()).unwrap())
    }

    async fn new() -> anyhow::Result<Self> {
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
        let world = Self { cluster, kubeconfig };
        world.create_user(USERNAME, PASSWORD).await;
        // The first one makes the keyring.
        world.serve(StoreKind::Memory).await.claviger.stop();
        Ok(world)
    }

    /// The Kubernetes API as the cluster's administrator.
    pub(crate) fn admin(&self) -> Client {
        self.cluster.client().unwrap()
    }

    /// The kubeconfig of claviger's ServiceAccount.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Options for a claviger on this cluster: those that the chart's Deployment would have, with a namespace to watch.
    pub(crate) fn options(&self, namespace: &str, log: &Path) -> ClavigerOptions {
        let mut options = ClavigerOptions::new(Path::new(env!("CARGO_BIN_EXE_claviger")), log);
        options.kubeconfig = Some(self.kubeconfig.clone());
        options.arguments = vec![
            "--log-format=json".to_owned(),
            format!("--watch-namespaces={namespace}"),
        ];
        options
    }

    /// A ready claviger with an empty store.
    pub(crate) async fn serve(&self, store: StoreKind) -> Served {
        self.serve_with(store, |_| ()).await
    }

    /// The same, with other options.
    pub(crate) async fn serve_with(
        &self,
        store: StoreKind,
        adjust: impl FnOnce(&mut ClavigerOptions),
    ) -> Served {
        let mut served = self.launch(store, adjust).await;
        served.claviger.wait_until_ready().await.unwrap();
        served
    }

    /// The same, and does not wait for anything.
    pub(crate) async fn launch(&self, store: StoreKind, adjust: impl FnOnce(&mut ClavigerOptions)) -> Served {
        let namespace = self.cluster.temp_namespace("apps").await.unwrap();
        let folder = Folder::new("end-to-end").unwrap();
        let mut options = self.options(&namespace, &folder.join("claviger.log"));
        if store == StoreKind::Sled {
            options.store = format!("sled:{}", folder.join("store").display());
        }
        adjust(&mut options);
        let claviger = Claviger::launch(Address::choose().unwrap(), options).unwrap();
        Served {
            claviger,
            namespace,
            folder,
            admin: self.admin(),
        }
    }

    /// Makes a Secret in claviger's own namespace.
    pub(crate) async fn create_secret(&self, name: &str, type_: &str, entries: &[(&str, &str)]) {
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            type_: Some(type_.to_owned()),
            string_data: Some(
                entries
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
            ),
            ..Secret::default()
        };
        let api: Api<Secret> = Api::namespaced(self.admin(), HOME);
        api.create(&PostParams::default(), &secret).await.unwrap();
    }

    /// Makes an `OidcUser` with a password in a Secret of their own, and does not wait for anything.
    pub(crate) async fn create_user(&self, name: &str, password: &str) {
        let secret = format!("{name}-own-password");
        self.create_secret(&secret, "Opaque", &[("password", password)])
            .await;
        self.create_user_with(
            name,
            json!({
                "email": format!("{name}@example.org"),
                "emailVerified": true,
                "displayName": name,
                "groups": ["engineers"],
                "password": { "secretRef": { "name": secret, "key": "password" } },
            }),
        )
        .await;
    }

    /// Makes an `OidcUser` of this spec, and does not wait for anything.
    pub(crate) async fn create_user_with(&self, name: &str, spec: Value) {
        let resource = OidcUser::new(name, serde_json::from_value(spec).unwrap());
        let api: Api<OidcUser> = Api::namespaced(self.admin(), HOME);
        api.create(&PostParams::default(), &resource).await.unwrap();
    }

    /// The entries of a Secret, once it is there.
    pub(crate) async fn secret(&self, namespace: &str, name: &str) -> BTreeMap<String, String> {
        secret(&self.admin(), namespace, name).await
    }
}

/// A running claviger with the namespace that it watches.
pub(crate) struct Served {
    pub(crate) claviger: Claviger,
    pub(crate) namespace: String,
    pub(crate) folder: Folder,
    admin: Client,
}

impl Served {
    /// Applies an `OidcClient` with these fields beside the redirect URI, waits until it is Ready, and gives the app that
    /// has mounted its Secret.
    pub(crate) async fn app(&self, name: &str, spec: Value) -> RelyingParty {
        let registration = self.register(name, spec).await;
        RelyingParty::discover(registration).await.unwrap()
    }

    /// The same, before the app has asked anything.
    pub(crate) async fn register(&self, name: &str, spec: Value) -> Registration {
        let client = self.admin.clone();
        let mut all = json!({ "redirectUris": [REDIRECT_URI] });
        all.as_object_mut()
            .unwrap()
            .extend(spec.as_object().unwrap().clone());
        let mut resource = OidcClient::new(name, serde_json::from_value(all).unwrap());
        resource.metadata.namespace = Some(self.namespace.clone());
        let api: Api<OidcClient> = Api::namespaced(client.clone(), &self.namespace);
        api.create(&PostParams::default(), &resource).await.unwrap();
        poll::until("an OidcClient to be Ready", PATIENCE, async || {
            let resource = api.get(name).await?;
            Ok(resource.status.filter(|status| is_ready(&status.conditions)))
        })
        .await
        .unwrap();
        let entries = secret(&client, &self.namespace, &format!("{name}-oidc")).await;
        Registration {
            issuer: entries["OIDC_ISSUER"].clone(),
            client_id: entries["OIDC_CLIENT_ID"].clone(),
            client_secret: entries.get("OIDC_CLIENT_SECRET").cloned(),
            redirect_uri: REDIRECT_URI.to_owned(),
        }
    }

    /// The port of the public listener.
    pub(crate) fn port(&self) -> u16 {
        self.claviger
            .issuer()
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .unwrap()
    }
}

/// A person's way through sign-in and consent to a code that was not redeemed yet.
pub(crate) async fn code(app: &RelyingParty, browser: &Browser) -> (AuthorizationRequest, String) {
    let request = app.authorization_request(SCOPE, &[]).unwrap();
    let callback = browser
        .sign_in(&request.url, REDIRECT_URI, USERNAME, PASSWORD)
        .await
        .unwrap();
    let code = app.code(&request, &callback).unwrap();
    (request, code)
}

/// The same, up to the tokens.
pub(crate) async fn tokens(app: &RelyingParty, browser: &Browser) -> Tokens {
    let (request, code) = code(app, browser).await;
    app.redeem(&request, &code).await.unwrap().unwrap()
}

/// The error code of a refusal.
pub(crate) fn refused<T>(answer: Result<T, testbed::relying_party::Refusal>) -> String {
    match answer {
        Ok(_) => "nothing".to_owned(),
        Err(refusal) => refusal.error,
    }
}

async fn secret(client: &Client, namespace: &str, name: &str) -> BTreeMap<String, String> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let what = format!("the Secret {namespace}/{name}");
    let found = poll::until(&what, PATIENCE, async || Ok(api.get_opt(name).await?))
        .await
        .unwrap();
    found
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, value)| (key, String::from_utf8(value.0).unwrap()))
        .collect()
}

fn is_ready(conditions: &[Condition]) -> bool {
    conditions
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
