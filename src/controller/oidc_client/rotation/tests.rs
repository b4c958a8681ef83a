use super::*;
use crate::controller::ControllerSettings;
use crate::controller::oidc_client::validate::validate;
use crate::oidc::issuer::Issuer;
use crate::store::records::ResourceRef;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const CURRENT_KEY: &str = "k2";

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn at(hours: u32) -> Timestamp {
    later(start(), HOUR * hours)
}

fn plan(interval: Option<Duration>) -> Plan {
    Plan {
        interval,
        overlap: DAY,
    }
}

fn requests(annotations: &[(&str, &str)]) -> Requests {
    let mut resource = OidcClient::new("shop", serde_json::from_str("{}").unwrap());
    resource.metadata.annotations = Some(
        annotations
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
    );
    Requests::of(&resource)
}

fn version(id: &str, key: &str, retires_at: Option<Timestamp>) -> SecretVersion {
    SecretVersion {
        id: id.to_owned(),
        master_key_id: key.to_owned(),
        created_at: start(),
        retires_at,
        hash: crate::oidc::opaque_token::TokenHash::of(id.as_bytes()),
    }
}

fn record(versions: Vec<SecretVersion>) -> ClientRecord {
    let spec = "redirectUris: [https://shop.example.org/callback]";
    let mut resource = OidcClient::new("shop", serde_yaml::from_str(spec).unwrap());
    resource.metadata.namespace = Some("team-a".to_owned());
    resource.metadata.uid = Some("uid-shop".to_owned());
    let settings = ControllerSettings {
        namespace: "claviger".to_owned(),
        watch_namespaces: Vec::new(),
        keyring_secret_name: "claviger-keyring".to_owned(),
        issuer: Issuer::parse("https://id.example.org").unwrap(),
        watch_timeout: std::time::Duration::from_secs(290),
        accept_removals: 0,
        heal_interval: None,
        service_account_interval: Duration::from_mins(1),
        allow_own_client_ids: false,
        allow_consent_skip: false,
        without_secret_policy: false,
    };
    ClientRecord {
        client: validate(&resource, &settings, None).unwrap().client,
        resource: ResourceRef {
            namespace: "team-a".to_owned(),
            name: "shop".to_owned(),
        },
        secret_name: "shop-oidc".to_owned(),
        secret_versions: versions,
        absent_since: None,
        done: None,
        observed_rotation: ObservedRotation::default(),
    }
}

fn one() -> ClientRecord {
    record(vec![version("1", CURRENT_KEY, None)])
}

#[test]
fn a_secret_is_kept_until_something_asks_for_another() {
    let none = requests(&[]);
    for (plan, requests, record, hours, expected) in [
        (plan(None), none.clone(), one(), 100_000, Decision::Keep),
        (plan(Some(DAY * 30)), none.clone(), one(), 719, Decision::Keep),
        (
            plan(Some(DAY * 30)),
            none.clone(),
            one(),
            720,
            Decision::Rotate(Cause::Scheduled),
        ),
        (
            plan(None),
            none.clone(),
            record(vec![version("1", "k1", None)]),
            0,
            Decision::Rotate(Cause::MasterKey),
        ),
        (
            plan(None),
            requests(&[(ROTATE, "x")]),
            one(),
            0,
            Decision::Rotate(Cause::Requested),
        ),
        (
            plan(None),
            requests(&[(ROTATE, "x"), (ROTATE_NOW, "y")]),
            one(),
            0,
            Decision::Rotate(Cause::EndNow),
        ),
        (plan(None), requests(&[(HEAL, "x")]), one(), 0, Decision::Keep),
        (
            plan(Some(DAY * 30)),
            none,
            record(Vec::new()),
            9_999,
            Decision::Keep,
        ),
    ] {
        let decision = decide(&plan, &requests, &record, CURRENT_KEY, at(hours));
        assert_eq!(decision, expected, "{requests:?} {plan:?} {hours}");
    }
}

#[test]
fn a_request_is_carried_out_once() {
    let asked = requests(&[(ROTATE, "x"), (ROTATE_NOW, "y")]);
    let mut record = one();
    record.observed_rotation = asked.carried_out(&record.observed_rotation);
    assert_eq!(
        decide(&plan(None), &asked, &record, CURRENT_KEY, at(0)),
        Decision::Keep
    );
    // The annotation is taken away and comes back with the same value.
    record.observed_rotation = requests(&[]).carried_out(&record.observed_rotation);
    assert_eq!(
        decide(&plan(None), &asked, &record, CURRENT_KEY, at(0)),
        Decision::Keep
    );
    let again = requests(&[(ROTATE, "z"), (ROTATE_NOW, "y")]);
    assert_eq!(
        decide(&plan(None), &again, &record, CURRENT_KEY, at(0)),
        Decision::Rotate(Cause::Requested)
    );
    // Two long values that begin alike are two values, and neither fills the status.
    let long = |end: &str| requests(&[(ROTATE, &format!("{}{end}", "x".repeat(10_000)))]);
    record.observed_rotation = long("a").carried_out(&record.observed_rotation);
    assert!(record.observed_rotation.rotate.as_ref().unwrap().len() <= LONGEST_VALUE);
    assert_eq!(
        decide(&plan(None), &long("a"), &record, CURRENT_KEY, at(0)),
        Decision::Keep
    );
    assert_ne!(
        decide(&plan(None), &long("b"), &record, CURRENT_KEY, at(0)),
        Decision::Keep
    );
}

#[test]
fn one_rotation_is_finished_before_the_next_unless_a_secret_leaked() {
    let unfinished = record(vec![
        version("1", CURRENT_KEY, None),
        version("2", CURRENT_KEY, None),
    ]);
    let now = at(1);
    let rotate = requests(&[(ROTATE, "x")]);
    assert_eq!(
        decide(&plan(None), &rotate, &unfinished, CURRENT_KEY, now),
        Decision::Unfinished
    );
    let end_now = requests(&[(ROTATE_NOW, "x")]);
    assert_eq!(
        decide(&plan(None), &end_now, &unfinished, CURRENT_KEY, now),
        Decision::Rotate(Cause::EndNow)
    );
}

#[test]
fn no_more_versions_are_made_than_are_accepted() {
    let versions = |count: u32| {
        let mut versions: Vec<_> = (0..count)
            .map(|number| version(&number.to_string(), CURRENT_KEY, Some(at(10 + number))))
            .collect();
        versions.push(version("newest", CURRENT_KEY, None));
        record(versions)
    };
    let rotate = requests(&[(ROTATE, "x")]);
    let decided = |record: &ClientRecord, requests: &Requests| {
        decide(&plan(None), requests, record, CURRENT_KEY, at(1))
    };
    assert_eq!(decided(&versions(2), &rotate), Decision::Rotate(Cause::Requested));
    assert_eq!(decided(&versions(3), &rotate), Decision::Postponed(at(10)));
    let end_now = requests(&[(ROTATE_NOW, "x")]);
    assert_eq!(decided(&versions(3), &end_now), Decision::Rotate(Cause::EndNow));
}

#[test]
fn an_old_version_ends_an_overlap_after_the_new_one_reached_the_secret() {
    let plan = plan(Some(DAY * 30));
    assert_eq!(end_of_older(&plan, &one(), &[], at(0)), None);
    let unfinished = record(vec![
        version("0", CURRENT_KEY, Some(at(5))),
        version("1", CURRENT_KEY, None),
        version("2", CURRENT_KEY, None),
    ]);
    let now = later(at(3), Duration::from_millis(400));
    let end = end_of_older(&plan, &unfinished, &[], now).unwrap();
    assert_eq!(end, at(27), "whole seconds, as the status has them");
    let ended = with_end(&unfinished, end);
    let ends: Vec<_> = ended
        .secret_versions
        .iter()
        .map(|version| version.retires_at)
        .collect();
    assert_eq!(
        ends,
        [Some(at(5)), Some(at(27)), None],
        "an end that was told stays"
    );
    assert!(!has_retired(&ended, later(at(4), Duration::from_secs(3_599))));
    assert!(has_retired(&ended, at(5)));
}

/// Killed between the status and the store, it goes on with what the status says.
#[test]
fn an_end_that_the_status_has_told_holds() {
    let plan = plan(None);
    let unfinished = record(vec![
        version("1", CURRENT_KEY, None),
        version("2", CURRENT_KEY, None),
    ]);
    let told = |id: &str, end: Option<Timestamp>| SecretVersionStatus {
        id: id.to_owned(),
        master_key_id: CURRENT_KEY.to_owned(),
        created_at: Time(at(0)),
        retires_at: end.map(Time),
    };
    let end = |told: &[SecretVersionStatus]| end_of_older(&plan, &unfinished, told, at(3));
    assert_eq!(
        end(&[told("1", Some(at(26))), told("2", None)]),
        Some(at(26)),
        "told"
    );
    assert_eq!(
        end(&[told("0", Some(at(5))), told("1", None)]),
        Some(at(27)),
        "told of another"
    );
}

#[test]
fn the_next_look_is_at_the_next_end_or_rotation() {
    let wait =
        |record: &ClientRecord, interval, rotates, now| next_look(&plan(interval), record, rotates, now);
    assert_eq!(wait(&one(), None, true, at(0)), Next::Change);
    let soon = later(at(48), HOUR.saturating_sub(Duration::from_mins(3)));
    assert_eq!(
        wait(&one(), Some(HOUR * 49), true, soon),
        Next::Again(Duration::from_mins(3))
    );
    assert_eq!(wait(&one(), Some(HOUR * 49), false, soon), Next::Change);
    assert_eq!(
        wait(&one(), Some(HOUR * 49), true, at(0)),
        Next::Again(LONGEST_SLEEP),
        "no timer is trusted for days"
    );
    assert_eq!(
        wait(&one(), Some(HOUR * 49), true, at(60)),
        Next::Again(Duration::ZERO)
    );
    let two = record(vec![
        version("1", CURRENT_KEY, Some(at(1))),
        version("2", CURRENT_KEY, None),
    ]);
    let now = later(at(0), Duration::from_mins(59));
    assert_eq!(wait(&two, None, true, now), Next::Again(Duration::from_mins(1)));
}
