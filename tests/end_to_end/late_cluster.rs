//! A start before the API server can be reached.

use std::net::Ipv4Addr;

use reqwest::StatusCode;
use serde_json::{Value, json};
use testbed::browser::Browser;
use testbed::folder::Folder;
use testbed::{poll, ports};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::harness::{HOME, PATIENCE, Served, StoreKind, World, tokens};

/// The way to the API server, which is closed at first.
struct Road {
    port: u16,
    apiserver: u16,
}

impl Road {
    fn closed(world: &World) -> Self {
        Self {
            port: ports::free().unwrap(),
            apiserver: world.cluster.url().rsplit_once(':').unwrap().1.parse().unwrap(),
        }
    }

    /// claviger's kubeconfig by this way.
    fn kubeconfig(&self, world: &World, folder: &Folder) -> std::path::PathBuf {
        let text = std::fs::read_to_string(world.kubeconfig()).unwrap();
        let mut kubeconfig: Value = serde_json::from_str(&text).unwrap();
        kubeconfig["clusters"][0]["cluster"]["server"] = format!("https://127.0.0.1:{}", self.port).into();
        folder.write("kubeconfig", kubeconfig.to_string()).unwrap()
    }

    /// Opens it until what this gives is dropped.
    async fn open(&self) -> JoinSet<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await.unwrap();
        let apiserver = self.apiserver;
        let mut road = JoinSet::new();
        road.spawn(async move {
            let mut cars = JoinSet::new();
            while let Ok((mut here, _)) = listener.accept().await {
                cars.spawn(async move {
                    if let Ok(mut there) = TcpStream::connect((Ipv4Addr::LOCALHOST, apiserver)).await {
                        let _ended = tokio::io::copy_bidirectional(&mut here, &mut there).await;
                    }
                });
            }
        });
        road
    }
}

async fn get(url: &str) -> (StatusCode, String) {
    let answer = reqwest::get(url).await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// Waits until the process answers at all.
async fn wait_until_live(served: &mut Served) {
    let url = served.claviger.admin_url("/livez");
    let process = served.claviger.process();
    poll::until_unless(
        "claviger to live",
        PATIENCE,
        || process.check_alive(),
        async || {
            let answer = reqwest::get(&url).await?;
            Ok(answer.status().is_success().then_some(()))
        },
    )
    .await
    .unwrap();
}

/// claviger starts before the API server can be reached, says so, and is ready without a restart once it can be. Until
/// then whoever comes is told to try again.
#[tokio::test]
async fn a_start_before_the_api_server() {
    let world = World::shared();
    let road = Road::closed(world);
    let folder = Folder::new("late").unwrap();
    let kubeconfig = road.kubeconfig(world, &folder);
    let mut served = world
        .launch(StoreKind::Sled, |options| options.kubeconfig = Some(kubeconfig))
        .await;
    wait_until_live(&mut served).await;
    let process = served.claviger.process().id();

    let ready = served.claviger.admin_url("/readyz");
    poll::until("/readyz to say what is waited for", PATIENCE, async || {
        let (status, text) = get(&ready).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
        Ok(text.contains(r#""waiting":["keyring""#).then_some(()))
    })
    .await
    .unwrap();
    // Why it cannot be reached is for the log alone: whoever probes need not authenticate.
    let reason = "unable to reach the keyring at Secret claviger/claviger-keyring";
    assert!(!get(&ready).await.1.contains(reason));
    assert!(served.claviger.log().contains(reason));
    for path in ["/.well-known/openid-configuration", "/authorize?client_id=x", "/"] {
        let answer = reqwest::get(served.claviger.url(path)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(answer.headers().contains_key("retry-after"), "{path}");
    }

    let _open = road.open().await;
    served.claviger.wait_until_ready().await.unwrap();
    let app = served.app("shop", json!({})).await;
    tokens(&app, &Browser::new().unwrap()).await;
    assert_eq!(served.claviger.process().id(), process);
}

/// Where the keyring is at hand, what needs nothing else is answered at once: discovery and keys. What needs clients and
/// people answers 503 until the first list of them was registered, never that there are none.
#[tokio::test]
async fn rule_82_a_start_with_the_keyring_at_hand() {
    let world = World::shared();
    let road = Road::closed(world);
    let folder = Folder::new("late").unwrap();
    let kubeconfig = road.kubeconfig(world, &folder);
    let document = &world.secret(HOME, "claviger-keyring").await["keyring.json"];
    folder.write("keyring.json", document).unwrap();
    let mut served = world
        .launch(StoreKind::Memory, |options| {
            options.kubeconfig = Some(kubeconfig);
            options.keyring = format!("dir:{}", folder.path().display());
        })
        .await;
    wait_until_live(&mut served).await;
    for path in ["/.well-known/openid-configuration", "/.well-known/jwks.json"] {
        let url = served.claviger.url(path);
        poll::until(path, PATIENCE, async || {
            Ok((get(&url).await.0 == StatusCode::OK).then_some(()))
        })
        .await
        .unwrap();
    }
    let authorize = "/authorize?client_id=x&redirect_uri=http://127.0.0.1/callback&response_type=code";
    let answer = reqwest::get(served.claviger.url(authorize)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    let (status, text) = get(&served.claviger.admin_url("/readyz")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("Kubernetes API"), "{text}");

    let open = road.open().await;
    served.claviger.wait_until_ready().await.unwrap();
    let app = served.app("shop", json!({})).await;
    let browser = Browser::new().unwrap();
    tokens(&app, &browser).await;
    // Once ready, the way may be closed again.
    drop(open);
    tokens(&app, &browser).await;
    assert_eq!(get(&served.claviger.admin_url("/readyz")).await.0, StatusCode::OK);
}

/// Whoever is told to end while it waits does so, and that is no failure.
#[tokio::test]
async fn a_start_that_waits_can_be_ended() {
    let world = World::shared();
    let folder = Folder::new("late").unwrap();
    let kubeconfig = Road::closed(world).kubeconfig(world, &folder);
    let mut served = world
        .launch(StoreKind::Sled, |options| options.kubeconfig = Some(kubeconfig))
        .await;
    wait_until_live(&mut served).await;
    assert_eq!(served.claviger.stop().code(), Some(0));
}
