//! The API server goes away: sign-in goes on, and what changed meanwhile is caught up with.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use testbed::relying_party::RelyingParty;
use testbed::{Installation, InstallationOptions, Kind, Resources, poll, scale, visit};
use tokio::time::Instant;

const OUTAGE: Duration = Duration::from_mins(2);
/// At the full counts of the tests.
const FULL_OUTAGE: Duration = Duration::from_mins(10);
const SIGN_INS: u32 = 50;
const PATIENCE: Duration = Duration::from_mins(3);
const PEOPLE: [&str; 3] = ["ada", "grace", "hedy"];
const APPS: [&str; 3] = ["shop", "wiki", "mail"];
const TEAM: &str = "team-a";
const HOME: &str = "claviger";
/// On loopback any port will do, so nothing has to listen.
const REDIRECT_URI: &str = "http://127.0.0.1/callback";

/// An installation with three people and three apps.
struct World {
    installation: Installation,
    resources: Resources,
    people: Vec<(&'static str, String)>,
    apps: Vec<RelyingParty>,
}

impl World {
    async fn start() -> Result<Self> {
        let installation =
            Installation::start(InstallationOptions::new(env!("CARGO_BIN_EXE_claviger"))).await?;
        let resources = installation.resources()?;
        create_namespace(&installation, TEAM).await?;
        for name in PEOPLE {
            let spec = json!({ "groups": ["staff"], "password": { "generate": true } });
            resources.create(Kind::OidcUser, HOME, name, spec).await?;
        }
        for name in APPS {
            create_app(&resources, name).await?;
        }
        let (mut people, mut apps) = (Vec::new(), Vec::new());
        for name in PEOPLE {
            resources.wait_until_ready(Kind::OidcUser, HOME, name).await?;
            people.push((name, installation.password(name).await?));
        }
        for name in APPS {
            resources.wait_until_ready(Kind::OidcClient, TEAM, name).await?;
            apps.push(installation.app(TEAM, name).await?);
        }
        Ok(Self {
            installation,
            resources,
            people,
            apps,
        })
    }

    /// The status that the second port answers with.
    async fn health(&self, path: &str) -> Result<u16> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let url = self.installation.claviger.admin_url(path);
        Ok(http.get(url).send().await?.status().as_u16())
    }

    /// Whether the API server answers.
    async fn is_up(&self) -> bool {
        let users = self.resources.api(Kind::OidcUser, HOME);
        users.get_opt(PEOPLE[0]).await.is_ok()
    }
}

async fn create_namespace(installation: &Installation, name: &str) -> Result<()> {
    use k8s_openapi::api::core::v1::Namespace;
    use kube::api::PostParams;

    let namespaces: kube::Api<Namespace> = kube::Api::all(installation.cluster.client()?);
    let namespace = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
    namespaces.create(&PostParams::default(), &namespace).await?;
    Ok(())
}

async fn create_app(resources: &Resources, name: &str) -> Result<()> {
    let spec = json!({ "redirectUris": [REDIRECT_URI] });
    resources.create(Kind::OidcClient, TEAM, name, spec).await?;
    Ok(())
}

/// Waits until an app is told that it is not known.
async fn wait_until_refused(app: &RelyingParty) -> Result<()> {
    poll::until("a deleted client to be refused", PATIENCE, async || {
        Ok((!app.authenticates().await?).then_some(()))
    })
    .await
}

/// Waits until an `OidcUser` who was deleted is no longer let in.
async fn wait_until_turned_away(app: &RelyingParty, username: &str, password: &str) -> Result<()> {
    poll::until("a deleted person to be turned away", PATIENCE, async || {
        let turned_away = match visit::whole(app, username, password).await {
            Ok(_) => false,
            Err(error) => error.to_string().contains("could not sign in"),
        };
        Ok(turned_away.then_some(()))
    })
    .await
}

/// Experiment 12. Two minutes without an API server (ten with `TEST_FULL=1`): fifty of fifty people sign in, with everything
/// that belongs to it, and both probes say yes. Afterwards, without a restart, what is new becomes Ready and what is deleted
/// is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sign_in_goes_on_without_the_api_server() -> Result<()> {
    let mut world = World::start().await?;
    let outage = if scale::full() { FULL_OUTAGE } else { OUTAGE };
    world.installation.cluster.stop_api_server();
    let began = Instant::now();
    for number in 0..SIGN_INS {
        // Spread over the outage, the last one at its end.
        tokio::time::sleep_until(began + outage * number / (SIGN_INS - 1)).await;
        let (username, password) = &world.people[number as usize % PEOPLE.len()];
        let app = &world.apps[number as usize / PEOPLE.len() % APPS.len()];
        visit::whole(app, username, password)
            .await
            .with_context(|| format!("sign-in {number} of {SIGN_INS}, after {:?}", began.elapsed()))?;
        assert_eq!(world.health("/readyz").await?, 200);
        assert_eq!(world.health("/livez").await?, 200);
    }
    assert!(began.elapsed() >= outage && !world.is_up().await);
    let process = world.installation.claviger.process().id();

    world.installation.cluster.start_api_server().await?;
    let (resources, installation) = (&world.resources, &world.installation);
    let back = Instant::now();
    create_app(resources, "late").await?;
    resources.delete(Kind::OidcClient, TEAM, "shop").await?;
    resources.delete(Kind::OidcUser, HOME, "hedy").await?;
    resources.wait_until_ready(Kind::OidcClient, TEAM, "late").await?;
    let ready = back.elapsed();
    let late = installation.app(TEAM, "late").await?;
    let (username, password) = &world.people[0];
    visit::whole(&late, username, password).await?;
    wait_until_refused(&world.apps[0]).await?;
    let (username, password) = &world.people[2];
    wait_until_turned_away(&late, username, password).await?;

    let claviger = world.installation.claviger.process();
    claviger.check_alive()?;
    assert_eq!(claviger.id(), process, "without a restart");
    println!(
        "experiment 12: passed: {SIGN_INS} of {SIGN_INS} sign-ins in {outage:?} without an API server; a new client Ready \
         {ready:.1?} after it was back, without a restart"
    );
    assert!(!world.installation.claviger.log().contains("panicked"));
    Ok(())
}

/// The watch is cut twice in a row, with changes in between that claviger may or may not have seen: all of them arrive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_watch_loses_no_change() -> Result<()> {
    let mut world = World::start().await?;
    let (cluster, resources) = (&world.installation.cluster, &world.resources);
    for (cut, (gone, changed, suspended)) in [("shop", "wiki", true), ("mail", "wiki", false)]
        .into_iter()
        .enumerate()
    {
        cluster.stop_api_server();
        cluster.start_api_server().await?;
        create_app(resources, &format!("new-{cut}")).await?;
        resources.delete(Kind::OidcClient, TEAM, gone).await?;
        let spec = json!({ "suspend": suspended, "displayName": format!("Cut {cut}") });
        resources.change(Kind::OidcClient, TEAM, changed, spec).await?;
        resources.delete(Kind::OidcUser, HOME, PEOPLE[cut]).await?;
    }
    // Once more, at once: what claviger has seen of the last changes may be nothing.
    cluster.stop_api_server();
    cluster.start_api_server().await?;

    for name in ["new-0", "new-1", "wiki"] {
        resources.wait_until_ready(Kind::OidcClient, TEAM, name).await?;
    }
    wait_until_refused(&world.apps[0]).await?;
    wait_until_refused(&world.apps[2]).await?;
    let (username, password) = &world.people[2];
    for name in ["new-0", "new-1", "wiki"] {
        let app = world.installation.app(TEAM, name).await?;
        visit::whole(&app, username, password).await.context(name)?;
        for (username, password) in &world.people[..2] {
            wait_until_turned_away(&app, username, password).await?;
        }
    }
    world.installation.claviger.process().check_alive()?;
    assert!(!world.installation.claviger.log().contains("panicked"));
    Ok(())
}
