//! kill -9 while people sign in: at random, and in place of every call to the disk.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use claviger::crd::v1alpha1::{OidcClient, OidcUser};
use futures::{StreamExt, stream};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use testbed::browser::Browser;
use testbed::disk::Disk;
use testbed::poll;
use testbed::relying_party::{RelyingParty, Tokens};
use testbed::scale;
use tokio::task::JoinSet;

use crate::harness::{HOME, PATIENCE, REDIRECT_URI, SCOPE, Served, StoreKind, World, refused};
use crate::ledger::{Ending, Flow, Random, Stop, is_signed_in, sign_out};

/// How many people sign in at once.
const WORKERS: usize = 4;
/// Checks at once.
const AT_ONCE: usize = 8;
/// How many apps share the flows of a round, so that none holds so many grants that its oldest end.
const APPS: usize = 4;

/// What all flows of a round share.
struct Round {
    apps: Vec<RelyingParty>,
    number: AtomicUsize,
    ended: AtomicUsize,
    flows: Mutex<Vec<(usize, Flow)>>,
}

/// One person's flows, one after another, until claviger is gone. Gives their browser back.
async fn work(round: Arc<Round>, browser: Browser) -> Browser {
    loop {
        let number = round.number.fetch_add(1, Ordering::SeqCst);
        let app = &round.apps[number % APPS];
        let mut flow = Flow::new(app, Ending::of(number));
        let stop = flow.run(app, &browser).await;
        round.flows.lock().unwrap().push((number, flow));
        match stop {
            Stop::Ended => round.ended.fetch_add(1, Ordering::SeqCst),
            Stop::Unanswered => return browser,
        };
    }
}

/// Killed at random while people sign in, refresh and are found out, claviger has forgotten nothing that it has answered:
/// no code is good twice, no redemption, rotation or revocation is undone, and nobody who stayed has to sign in again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_26_nothing_answered_is_forgotten_by_kills_at_random() {
    let (kills, flows_of_a_round) = if scale::full() { (100, 100) } else { (3, 40) };
    let mut random = Random::new();
    let world = World::shared();
    let mut served = world.serve(StoreKind::Sled).await;
    let mut apps = Vec::new();
    for number in 0..APPS {
        apps.push(served.app(&format!("shop-{number}"), json!({})).await);
    }
    let app = &apps[0];
    let mut stopped = Stopped::prepare(world, &served, kills.min(3)).await;
    let mut browsers: Vec<Browser> = (0..WORKERS).map(|_| Browser::new().unwrap()).collect();
    let (mut all, mut signed_out, mut most_looks) = (Vec::new(), Vec::new(), 0);
    let mut next = 0;
    for kill in 0..kills {
        let round = Arc::new(Round {
            apps: apps.clone(),
            number: AtomicUsize::new(next),
            ended: AtomicUsize::new(0),
            flows: Mutex::default(),
        });
        let leaver = Browser::new().unwrap();
        assert!(matches!(
            Flow::new(app, Ending::Refreshed).run(app, &leaver).await,
            Stop::Ended
        ));
        let mut workers = JoinSet::new();
        for browser in browsers.drain(..) {
            workers.spawn(work(Arc::clone(&round), browser));
        }
        // What ends by a sign-out, a suspension or a disabled person is acknowledged while the others go on.
        assert!(sign_out(app, &leaver).await);
        signed_out.push(leaver);
        if kill < 3 {
            stopped.stop(world, &served, kill).await;
        }
        let target = flows_of_a_round / 2 + random.below(flows_of_a_round);
        poll::until("enough flows to end", PATIENCE, async || {
            Ok((round.ended.load(Ordering::SeqCst) >= target).then_some(()))
        })
        .await
        .unwrap();
        served.claviger.kill9();
        browsers = workers.join_all().await;
        next = round.number.load(Ordering::SeqCst);

        most_looks = most_looks.max(restart(&mut served).await);
        let flows = std::mem::take(&mut *round.flows.lock().unwrap());
        stream::iter(&flows)
            .for_each_concurrent(AT_ONCE, async |(number, flow)| {
                flow.check(&apps[number % APPS], *number).await;
            })
            .await;
        all.extend(flows);
        for browser in &browsers {
            assert!(is_signed_in(app, browser).await, "a session was forgotten");
        }
        for browser in &signed_out {
            assert!(!is_signed_in(app, browser).await, "a sign-out was forgotten");
        }
        stopped.check().await;
    }
    // Nor does anything come back by a later kill.
    stream::iter(&all)
        .for_each_concurrent(AT_ONCE, async |(number, flow)| {
            flow.is_over(&apps[number % APPS], *number).await;
        })
        .await;
    let facts: usize = all.iter().map(|(_, flow)| flow.facts()).sum();
    println!(
        "kills at random (TEST_SEED={}): {kills} kills over {} flows, {facts} acknowledged facts, 0 forgotten, 0 codes \
         redeemed twice; ready after {most_looks} looks at the most, {} ms apart",
        random.seed,
        all.len(),
        poll::PAUSE.as_millis(),
    );
}

/// Starts it again; how often `/readyz` was asked.
async fn restart(served: &mut Served) -> usize {
    served.claviger.relaunch().unwrap();
    let looks = AtomicUsize::new(0);
    let url = served.claviger.admin_url("/readyz");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let process = served.claviger.process();
    poll::until_unless(
        "claviger to be ready",
        PATIENCE,
        || process.check_alive(),
        async || {
            looks.fetch_add(1, Ordering::SeqCst);
            Ok(http.get(&url).send().await?.status().is_success().then_some(()))
        },
    )
    .await
    .unwrap();
    looks.into_inner()
}

/// Clients that are suspended and people who are disabled, each with tokens from before.
struct Stopped {
    clients: Vec<(String, RelyingParty, Tokens)>,
    people: Vec<(String, RelyingParty, Tokens)>,
    /// How many of each were stopped, and that was acknowledged.
    acknowledged: usize,
}

impl Stopped {
    async fn prepare(world: &World, served: &Served, count: usize) -> Self {
        let (mut clients, mut people) = (Vec::new(), Vec::new());
        let shop = served.app("shop-of-people", json!({})).await;
        for number in 0..count {
            let name = format!("suspended-{number}");
            let app = served.app(&name, json!({})).await;
            let tokens = crate::harness::tokens(&app, &Browser::new().unwrap()).await;
            clients.push((name, app, tokens));

            let name = format!("disabled-{number}-{}", served.namespace);
            world.create_user(&name, "a password of theirs").await;
            let tokens = sign_in_once_known(&shop, &name).await;
            people.push((name, shop.clone(), tokens));
        }
        Self {
            clients,
            people,
            acknowledged: 0,
        }
    }

    /// Stops one of each, and waits until the status says so.
    async fn stop(&mut self, world: &World, served: &Served, number: usize) {
        let clients: Api<OidcClient> = Api::namespaced(world.admin(), &served.namespace);
        let name = &self.clients[number].0;
        patch(&clients, name, json!({ "spec": { "suspend": true } })).await;
        poll::until("a suspension to be acknowledged", PATIENCE, async || {
            let resource = clients.get(name).await?;
            let observed = resource.status.and_then(|status| status.observed_generation);
            Ok((observed.is_some() && observed == resource.metadata.generation).then_some(()))
        })
        .await
        .unwrap();
        let users: Api<OidcUser> = Api::namespaced(world.admin(), HOME);
        let name = &self.people[number].0;
        patch(&users, name, json!({ "spec": { "disabled": true } })).await;
        // Other clavigers of these tests look after the same people, so the status may be theirs.
        let (_, shop, tokens) = &self.people[number];
        poll::until("a disabled person to be turned away", PATIENCE, async || {
            let answer = shop.userinfo(&tokens.access_token, "anybody").await;
            let text = answer.map_or_else(|error| format!("{error:#}"), |claims| claims.to_string());
            Ok(text.contains("401").then_some(()))
        })
        .await
        .unwrap();
        self.acknowledged += 1;
    }

    async fn check(&self) {
        for (name, app, tokens) in &self.clients[..self.acknowledged] {
            let answer = app
                .refresh(tokens.refresh_token.as_deref().unwrap())
                .await
                .unwrap();
            assert_ne!(
                refused(answer),
                "nothing",
                "the suspension of {name} was forgotten"
            );
        }
        for (name, app, tokens) in &self.people[..self.acknowledged] {
            let answer = app
                .refresh(tokens.refresh_token.as_deref().unwrap())
                .await
                .unwrap();
            assert_eq!(
                refused(answer),
                "invalid_grant",
                "that {name} is disabled was forgotten"
            );
        }
    }
}

async fn sign_in_once_known(app: &RelyingParty, username: &str) -> Tokens {
    poll::until("a new person to sign in", PATIENCE, async || {
        let request = app.authorization_request(SCOPE, &[])?;
        let browser = Browser::new()?;
        let callback = browser
            .sign_in(&request.url, REDIRECT_URI, username, "a password of theirs")
            .await?;
        let code = app.code(&request, &callback)?;
        Ok(app.redeem(&request, &code).await?.ok())
    })
    .await
    .unwrap()
}

async fn patch<K>(api: &Api<K>, name: &str, change: Value)
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    api.patch(name, &PatchParams::default(), &Patch::Merge(change))
        .await
        .unwrap();
}

/// Killed in place of any call to its disk, which is more often than between any two operations of the store, claviger
/// has forgotten nothing that it has answered. One flow from the sign-in to a revocation is gone through again and again,
/// killed one call later each time, until it gets through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_26_nothing_answered_is_forgotten_by_a_kill_at_any_call() {
    let mut random = Random::new();
    let every = if scale::full() { 1 } else { 4 };
    let mut disk = None;
    let mut served = World::shared()
        .serve_with(StoreKind::Sled, |options| {
            let store = options.store.strip_prefix("sled:").unwrap().to_owned();
            let store = std::path::Path::new(&store);
            let made = Disk::new(store, &store.with_file_name("control")).unwrap();
            options.environment.extend(made.environment());
            disk = Some(made);
        })
        .await;
    let disk = disk.unwrap();
    let app = served.app("shop", json!({})).await;
    let (mut kills, mut facts, mut covered) = (0, 0, 0);
    for (ending_number, ending) in [Ending::Reused, Ending::Replayed].into_iter().enumerate() {
        let mut call = random.below(every);
        loop {
            disk.kill_after(Some(u64::try_from(call).unwrap())).unwrap();
            let mut flow = Flow::new(&app, ending);
            let browser = Browser::new().unwrap();
            let stop = flow.run(&app, &browser).await;
            disk.kill_after(None).unwrap();
            facts += flow.facts();
            if matches!(stop, Stop::Ended) {
                covered += call;
                break;
            }
            kills += 1;
            served.claviger.process().wait_for_exit(PATIENCE).unwrap();
            served.claviger.restart().await.unwrap();
            flow.check(&app, 1000 * ending_number + call).await;
            call += every;
            assert!(call < 1000, "a flow that never gets through");
        }
    }
    println!(
        "kills at calls to the disk (TEST_SEED={}): every {every}. of {covered} calls of two flows, {kills} kills, {facts} \
         acknowledged facts, 0 forgotten",
        random.seed,
    );
    assert!(kills > 0, "the flows made no call to the disk");
}
