//! APIs and those who ask for tokens for them, across namespaces.

use claviger::controller::ControllerSettings;

use crate::harness::{
    Controller, World, annotate, change, client, create, memory, message, settings, wait_for,
};

const READY: (&str, &str, &str) = ("Ready", "True", "Ready");
const NOT_ALLOWED: (&str, &str, &str) = ("Accepted", "False", "AudienceNotAllowed");
const HELD: (&str, &str, &str) = ("Accepted", "False", "ResourceIdentifierConflict");
const API: &str = "grantTypes: [client_credentials]\nresourceIdentifiers: [https://api.example.org]";
const CONSUMER: &str = "grantTypes: [client_credentials]\naudiences: [https://api.example.org]";

/// What nobody holds may be listed. Once a client of another namespace claims it, whoever listed it before is refused at the next
/// look, until the holder allows their namespace; the holder's own namespace needs no word, and a second holder there is none.
#[tokio::test]
async fn rule_41_an_api_belongs_to_who_claims_it_first() {
    let world = World::shared();
    let (ours, theirs) = (world.namespace("consumer").await, world.namespace("api").await);
    let settings = ControllerSettings {
        watch_namespaces: vec![ours.clone(), theirs.clone()],
        ..settings(&ours)
    };
    let controller = Controller::start_with(world, memory(), settings).await;
    create(world, &client(&ours, "shop", CONSUMER)).await;
    wait_for(world, &ours, "shop", READY).await;

    create(world, &client(&theirs, "api", API)).await;
    wait_for(world, &theirs, "api", READY).await;
    // As a heal does by itself every few minutes.
    annotate(world, &ours, "shop", "claviger.dev/heal", "again").await;
    let refused = wait_for(world, &ours, "shop", NOT_ALLOWED).await;
    let told = message(&refused.status.unwrap().conditions, "Accepted");
    for expected in ["spec.audiences[0]", &format!("{theirs}/api"), "allowedNamespaces"] {
        assert!(told.contains(expected), "{told}");
    }
    create(world, &client(&ours, "late", CONSUMER)).await;
    wait_for(world, &ours, "late", NOT_ALLOWED).await;
    create(world, &client(&theirs, "neighbour", CONSUMER)).await;
    wait_for(world, &theirs, "neighbour", READY).await;
    for namespace in [&ours, &theirs] {
        create(world, &client(namespace, "second", API)).await;
        let refused = wait_for(world, namespace, "second", HELD).await;
        let told = message(&refused.status.unwrap().conditions, "Accepted");
        assert!(told.contains("https://api.example.org is held by"), "{told}");
    }

    let allow = format!("resourceAccess: {{allowedNamespaces: [{ours}]}}");
    change(world, &theirs, "api", &allow).await;
    for name in ["shop", "late"] {
        wait_for(world, &ours, name, READY).await;
    }
    controller.stop().await;
}
