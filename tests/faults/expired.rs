//! Experiment 15: resource versions that are too old, on a watch and between the pages of a list, and an etcd that is compacted
//! in the middle of one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use testbed::fault_proxy::{Fault, FaultProxy, Refusal, Treatment};
use testbed::folder::Folder;
use testbed::scale::count;
use testbed::seed::Seed;

use crate::harness::{World, names, passed};

/// A watch expires after this.
const LIFE: Duration = Duration::from_secs(2);
const PAGE: u32 = 4;

/// Both at once, since they wait for most of their time.
#[tokio::test]
async fn experiment_15_watches_and_lists_that_expire() {
    futures::future::join(watch(), pages()).await;
}

/// The watch says again and again that its resource version is too old: each time there is a new list, and nothing is written
/// twice.
async fn watch() {
    let world = World::shared();
    let namespace = world.namespace("expired").await;
    let mut served = world.serve(&[&namespace]).await;
    // Only a watch can say so.
    served.proxy.plan(|_| Fault::ExpiresAfter(LIFE).into());
    served.proxy.close();
    served.proxy.open().await.unwrap();
    let rounds = count(4, 40);
    let names = names("app", rounds);
    for name in &names {
        let lists = served.lists("oidcclients");
        served.apply(&namespace, name).await;
        // The next one comes after a list at least.
        testbed::poll::until("another list", crate::harness::PATIENCE, async || {
            Ok((served.lists("oidcclients") > lists).then_some(()))
        })
        .await
        .unwrap();
    }
    let apps = served.apps(&namespace, &names).await;
    served.delete(&namespace, &names[0]).await;
    served.wait_until_refused(&apps[..1]).await;
    for app in &apps[1..] {
        assert!(app.authenticates().await.unwrap());
    }
    let (writes, lists) = (world.writes(&namespace).len(), served.lists("oidcclients"));
    assert_eq!(writes, 2 * names.len(), "nothing is written twice");
    served.check_sound();
    let verdict = format!(
        "{} clients with {writes} writes over {lists} lists; one deletion in between was not missed",
        names.len()
    );
    passed("15 (watch)", 0, &verdict);
}

/// A list of several pages: now a page says that it is too old, now etcd is compacted between two pages. The list is begun
/// again, nobody is removed for half a list, and nothing is written twice.
async fn pages() {
    let world = World::shared();
    let seed = Seed::or(15).unwrap();
    let namespace = world.namespace("pages").await;
    let names = names("app", count(14, 140));
    let mut first = world.serve(&[&namespace]).await;
    for name in &names {
        first.apply(&namespace, name).await;
    }
    first.apps(&namespace, &names).await;
    first.claviger.stop();
    let writes = world.writes(&namespace).len();
    assert_eq!(writes, 2 * names.len());

    // An empty store, so that every client is registered from what the lists show; Secrets and status are as they should be.
    let proxy = FaultProxy::start(&world.cluster).await.unwrap();
    let asked_pages = Arc::new(AtomicUsize::new(0));
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    proxy.plan(move |asked| {
        let mut treatment = Treatment::default();
        if asked.is_list("oidcclients") {
            treatment.page = Some(PAGE);
            if asked.is_continued() {
                match asked_pages.fetch_add(1, Ordering::Relaxed) {
                    // The first list ends at a page that the seed chooses.
                    page if page == usize::try_from(seed.of("page") % 2).unwrap() => {
                        treatment.fault = Fault::Refused(Refusal::EXPIRED);
                    }
                    // Before the next page, etcd forgets everything old; the page waits for that.
                    page if (2..4).contains(&page) => {
                        treatment.delay = Duration::from_secs(2);
                        let _test_is_over = tell.send(());
                    }
                    _ => {}
                }
            }
        }
        treatment
    });
    let mut served = world.launch_by(proxy, Folder::new("faults").unwrap(), &[&namespace], |_| ());
    let compacted = async {
        told.recv().await.unwrap();
        world.cluster.compact().await.unwrap()
    };
    let (compacted, ready) = tokio::join!(compacted, served.claviger.wait_until_ready());
    ready.unwrap();
    for app in served.apps(&namespace, &names).await {
        assert!(
            app.authenticates().await.unwrap(),
            "its Secret is good with a store that was empty"
        );
    }
    let exchanges = served.proxy.exchanges();
    let expired = exchanges
        .iter()
        .filter(|exchange| exchange.status == Some(410))
        .count();
    assert!(expired > 0);
    let lists = served.lists("oidcclients");
    assert!(lists > 1, "no list was begun again");
    let log = served.claviger.log();
    assert!(
        !log.contains("resources are gone") && !log.contains("removal held"),
        "{log}"
    );
    let again = world.writes(&namespace);
    let creates = again.iter().filter(|event| event.verb == "create").count();
    assert_eq!(creates, names.len(), "no second Secret for anybody");
    served.check_sound();
    let verdict = format!(
        "{} clients registered over {lists} lists of pages of {PAGE}; {expired} answers were 410; etcd compacted at revision \
         {compacted} between two pages; no second Secret, no removal",
        names.len()
    );
    passed("15 (pages)", seed.0, &verdict);
}
