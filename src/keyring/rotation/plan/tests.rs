//! Tests of the plan, as tables.

use std::collections::BTreeMap;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{Facts, SEALED_LIFETIME, Step, plan};
use crate::clock::Timestamp;
use crate::keyring::SigningAlgorithm;
use crate::keyring::document::{Document, KeyBytes, SigningKeyEntry, SymmetricKey};
use crate::keyring::rotation::SHORTEST_INTERVAL;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const INTERVAL: i64 = 90 * DAY;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// An ES256 key; the plan never looks at the key itself.
fn key(kid: &str, signs_from: i64, waiting: bool, kept_until: Option<i64>) -> SigningKeyEntry {
    SigningKeyEntry {
        kid: kid.to_owned(),
        alg: SigningAlgorithm::Es256,
        created_at: at(signs_from),
        published_at: at(signs_from),
        signs_from: at(signs_from),
        waiting,
        kept_until: kept_until.map(at),
        pkcs8: KeyBytes(Zeroizing::default()),
    }
}

fn sealing(id: &str, created_at: i64) -> SymmetricKey {
    SymmetricKey {
        id: id.to_owned(),
        created_at: at(created_at),
        key: KeyBytes(Zeroizing::default()),
    }
}

fn document(signing: Vec<SigningKeyEntry>, sealing: Vec<SymmetricKey>) -> Document {
    Document::new("id".to_owned(), Vec::new(), signing, sealing)
}

struct Moment {
    now: i64,
    shown: &'static [(&'static str, i64)],
    valid_until: Option<i64>,
    requested: bool,
}

fn moment(now: i64) -> Moment {
    Moment {
        now,
        shown: &[("old", 0)],
        valid_until: Some(now + HOUR),
        requested: false,
    }
}

fn steps(document: &Document, moment: &Moment) -> Vec<Step> {
    let shown_since: BTreeMap<String, Timestamp> = moment
        .shown
        .iter()
        .map(|(kid, second)| ((*kid).to_owned(), at(*second)))
        .collect();
    let facts = Facts {
        now: at(moment.now),
        interval: Duration::from_secs(INTERVAL.unsigned_abs()),
        shown_since: &shown_since,
        tokens_valid_until: moment.valid_until.map(at),
        requested: moment.requested,
    };
    // What there are no keys for has a test of its own.
    let mut steps = plan(document, &facts);
    steps.retain(|step| !matches!(step, Step::Publish(other) if *other != SigningAlgorithm::Es256));
    steps
}

fn publish() -> Vec<Step> {
    vec![Step::Publish(SigningAlgorithm::Es256)]
}

#[test]
fn a_successor_is_published_a_day_before_it_is_needed() {
    let alone = document(vec![key("old", 0, false, None)], Vec::new());
    assert_eq!(steps(&alone, &moment(INTERVAL - DAY - 1)), []);
    assert_eq!(steps(&alone, &moment(INTERVAL - DAY)), publish());
    assert_eq!(
        steps(&alone, &moment(10 * INTERVAL)),
        publish(),
        "after a long stop"
    );
    let requested = Moment {
        requested: true,
        ..moment(5)
    };
    assert_eq!(steps(&alone, &requested), publish());
    // One that waits is enough, whoever asks.
    let with_next = document(
        vec![key("old", 0, false, None), key("next", DAY, true, None)],
        Vec::new(),
    );
    assert_eq!(steps(&with_next, &requested), []);
    // A clock that was set back is no reason for anything.
    let ahead = document(vec![key("old", 1_000 * DAY, false, None)], Vec::new());
    assert_eq!(steps(&ahead, &moment(DAY)), []);
}

#[test]
fn a_key_signs_when_its_time_has_come_and_every_cache_knows_it() {
    let both = document(
        vec![key("old", 0, false, None), key("next", 100 * DAY, true, None)],
        Vec::new(),
    );
    let now = 100 * DAY;
    let activated = vec![
        Step::Activate {
            kid: "next".to_owned(),
        },
        Step::Retire {
            kid: "old".to_owned(),
            kept_until: at(now + HOUR + 600),
        },
    ];
    let shown_long = Moment {
        shown: &[("old", 0), ("next", 100 * DAY - HOUR)],
        ..moment(now)
    };
    assert_eq!(steps(&both, &shown_long), activated);
    let too_early = Moment {
        now: now - 1,
        ..shown_long
    };
    assert_eq!(steps(&both, &too_early), []);
    // Written, but the answer was lost, so that nobody has been shown it yet.
    assert_eq!(steps(&both, &moment(now)), []);
    let shown_short = Moment {
        shown: &[("old", 0), ("next", 100 * DAY - HOUR + 1)],
        ..moment(now)
    };
    assert_eq!(steps(&both, &shown_short), []);
    // Nobody knows how long the old key has to be kept.
    let unknown = Moment {
        valid_until: None,
        shown: &[("old", 0), ("next", 0)],
        ..moment(now)
    };
    assert_eq!(steps(&both, &unknown), []);
}

#[test]
fn a_replaced_key_is_kept_and_then_forgotten() {
    let keys = || {
        vec![
            key("old", 0, false, Some(50 * DAY)),
            key("new", 10 * DAY, false, None),
        ]
    };
    assert_eq!(steps(&document(keys(), Vec::new()), &moment(50 * DAY - 1)), []);
    let forgotten = vec![Step::Forget {
        kid: "old".to_owned(),
    }];
    assert_eq!(steps(&document(keys(), Vec::new()), &moment(50 * DAY)), forgotten);
    // The last key that can sign is never forgotten.
    let alone = document(vec![key("old", 0, false, Some(5))], Vec::new());
    assert_eq!(steps(&alone, &moment(10)), []);
    // Replaced by hand, or by a claviger that ended before it said until when.
    let unsaid = document(
        vec![key("old", 0, false, None), key("new", DAY, false, None)],
        Vec::new(),
    );
    let retired = vec![Step::Retire {
        kid: "old".to_owned(),
        kept_until: at(2 * DAY + HOUR + 600),
    }];
    assert_eq!(steps(&unsaid, &moment(2 * DAY)), retired);
    // A key that signs by its time later on counts as the successor that is known.
    let scheduled = document(
        vec![key("old", 0, false, None), key("new", 91 * DAY, false, None)],
        Vec::new(),
    );
    assert_eq!(steps(&scheduled, &moment(90 * DAY)), []);
}

#[test]
fn sealing_keys_follow_each_other() {
    let signing = || vec![key("old", 200 * DAY, false, None)];
    let one = document(signing(), vec![sealing("a", 0)]);
    assert_eq!(steps(&one, &moment(INTERVAL - 1)), []);
    assert_eq!(steps(&one, &moment(INTERVAL)), [Step::AddSealingKey]);
    let forget = |id: &str| Step::ForgetSealingKey { id: id.to_owned() };
    let kept = i64::try_from(SEALED_LIFETIME.as_secs()).unwrap();
    // The order in the document does not matter.
    let two = document(signing(), vec![sealing("b", 10 * DAY), sealing("a", 0)]);
    assert_eq!(steps(&two, &moment(10 * DAY + INTERVAL.min(kept) - 1)), []);
    assert_eq!(
        steps(&two, &moment(10 * DAY + kept)),
        [Step::AddSealingKey, forget("a")]
    );
    // Each goes by its own successor, and not with the newest: a short interval brings new ones all the time.
    let three = document(
        signing(),
        vec![sealing("a", 0), sealing("b", 10 * DAY), sealing("c", 50 * DAY)],
    );
    assert_eq!(steps(&three, &moment(10 * DAY + kept)), [forget("a")]);
    assert_eq!(
        steps(&three, &moment(50 * DAY + kept)),
        [Step::AddSealingKey, forget("a"), forget("b")]
    );
}

/// At the shortest interval the keyring holds as many sealing keys as it says, and no more of them with time.
#[test]
fn the_sealing_keys_of_a_short_interval_are_bounded() {
    let interval = i64::try_from(SHORTEST_INTERVAL.as_secs()).unwrap();
    let mut keys = vec![0];
    for round in 1..200 {
        let now = round * interval;
        let sealing_keys = keys
            .iter()
            .map(|made| sealing(&made.to_string(), *made))
            .collect();
        let document = document(vec![key("old", now, false, None)], sealing_keys);
        let facts = Facts {
            interval: SHORTEST_INTERVAL,
            now: at(now),
            shown_since: &BTreeMap::new(),
            tokens_valid_until: None,
            requested: false,
        };
        for step in plan(&document, &facts) {
            match step {
                Step::AddSealingKey => keys.push(now),
                Step::ForgetSealingKey { id } => keys.retain(|made| made.to_string() != id),
                _ => {}
            }
        }
        assert!(keys.len() <= 46, "{} keys in round {round}", keys.len());
    }
    assert_eq!(keys.len(), 46);
}

/// A keyring of an earlier version gets its missing keys, which are published before they sign.
#[test]
fn rule_52_an_algorithm_without_a_key_gets_one_that_waits() {
    let eddsa = |waiting| SigningKeyEntry {
        alg: SigningAlgorithm::EdDsa,
        ..key("first", DAY, waiting, None)
    };
    let planned = |document: &Document, now, shown_at| {
        let shown_since = BTreeMap::from([("first".to_owned(), at(shown_at))]);
        let facts = Facts {
            now: at(now),
            interval: Duration::from_secs(INTERVAL.unsigned_abs()),
            shown_since: &shown_since,
            tokens_valid_until: Some(at(now + HOUR)),
            requested: false,
        };
        let mut steps = plan(document, &facts);
        steps.retain(|step| {
            !matches!(
                step,
                Step::Publish(SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256)
            )
        });
        steps
    };
    let old = || key("old", 0, false, None);
    let without = document(vec![old()], Vec::new());
    assert_eq!(planned(&without, 0, 0), [Step::Publish(SigningAlgorithm::EdDsa)]);
    let waits = document(vec![old(), eddsa(true)], Vec::new());
    assert_eq!(planned(&waits, DAY - 1, 0), []);
    assert_eq!(planned(&waits, DAY, DAY - HOUR + 1), []);
    let activated = Step::Activate {
        kid: "first".to_owned(),
    };
    assert_eq!(planned(&waits, DAY, 0), [activated]);
    let signs = document(vec![old(), eddsa(false)], Vec::new());
    assert_eq!(planned(&signs, DAY, 0), []);
}
