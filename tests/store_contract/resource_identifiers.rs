//! Who is which API: claims on resource identifiers.

use claviger::oidc::identifier::ResourceUid;
use claviger::store::RegisterClient;
use claviger::store::records::ClientRegistration;

use crate::bench::{Bench, uid};
use crate::fixtures;

const API: &str = "https://api.example.org";
const OTHER: &str = "urn:example:other";

fn api(bench: &Bench, name: &str, identifiers: &[&str]) -> ClientRegistration {
    let mut registration = fixtures::client_registration(name, bench.now());
    registration.client.resource_identifiers = identifiers.iter().map(|&text| text.to_owned()).collect();
    registration
}

/// Nothing when it is registered, or what is held by whom.
async fn register(bench: &Bench, registration: ClientRegistration) -> Option<String> {
    match bench.store.register_client(registration).await.unwrap() {
        RegisterClient::Registered(_) => None,
        RegisterClient::ResourceIdentifierHeld(identifier, holder) => Some(format!("{identifier} {holder}")),
        refused => panic!("{refused:?}"),
    }
}

async fn holder(bench: &Bench, identifier: &str) -> Option<ResourceUid> {
    let found = bench.store.resource_server(identifier).await.unwrap();
    found.map(|record| record.client.uid)
}

/// An identifier is one client's, whatever others ask for later: they are refused as a whole, and what is registered of them
/// stays.
pub(crate) async fn rule_41_the_first_to_claim_an_identifier_holds_it(bench: &Bench) {
    assert_eq!(holder(bench, API).await, None);
    assert_eq!(register(bench, api(bench, "api", &[API])).await, None);
    assert_eq!(register(bench, api(bench, "thief", &[])).await, None);
    let held = Some(format!("{API} team-a/api"));
    assert_eq!(register(bench, api(bench, "thief", &[OTHER, API])).await, held);
    assert_eq!(register(bench, api(bench, "newcomer", &[API])).await, held);
    assert_eq!(register(bench, api(bench, "api", &[API, OTHER])).await, None);
    for identifier in [API, OTHER] {
        assert_eq!(holder(bench, identifier).await, Some(uid("api")));
    }
    let thief = bench.store.client_by_uid(&uid("thief")).await.unwrap().unwrap();
    assert_eq!(thief.client.resource_identifiers, Vec::<String>::new());
    assert_eq!(bench.store.client_by_uid(&uid("newcomer")).await.unwrap(), None);
    // Byte for byte, as it is compared where it is asked for.
    assert_eq!(
        register(bench, api(bench, "thief", &["https://api.example.org/"])).await,
        None
    );
}

/// What is taken out of the registration is free, and so is everything when the client goes; one that is only suspended or
/// absent holds it.
pub(crate) async fn rule_41_a_claim_ends_with_its_registration(bench: &Bench) {
    assert_eq!(register(bench, api(bench, "api", &[API, OTHER])).await, None);
    assert_eq!(register(bench, api(bench, "api", &[OTHER])).await, None);
    assert_eq!(register(bench, api(bench, "next", &[API])).await, None);
    bench.store.mark_clients_absent(&[uid("next")]).await.unwrap();
    assert_eq!(holder(bench, API).await, Some(uid("next")));
    bench.store.remove_client(&uid("next")).await.unwrap();
    assert_eq!(holder(bench, API).await, None);
    assert_eq!(holder(bench, OTHER).await, Some(uid("api")));
    // Deleted and made again under its name: another client, which takes over what that one held.
    let mut again = api(bench, "api", &[OTHER]);
    again.client.uid = ResourceUid::new("again");
    assert_eq!(register(bench, again).await, None);
    assert_eq!(holder(bench, OTHER).await, Some(ResourceUid::new("again")));
}
