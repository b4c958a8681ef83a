use super::*;

fn uid(namespace: &str, number: usize) -> ResourceUid {
    ResourceUid::new(format!("{namespace}-{number}"))
}

fn key(namespace: &str, number: usize) -> ResourceRef {
    ResourceRef {
        namespace: namespace.to_owned(),
        name: number.to_string(),
    }
}

/// What is known of namespaces with this many resources each.
fn known(namespaces: &[(&str, usize)]) -> Known {
    namespaces
        .iter()
        .flat_map(|(namespace, count)| {
            (0..*count).map(|number| (uid(namespace, number), key(namespace, number)))
        })
        .collect()
}

/// A list of the first so many of each.
fn listed(namespaces: &[(&str, usize)]) -> HashMap<ResourceRef, ResourceUid> {
    known(namespaces)
        .into_iter()
        .map(|(uid, key)| (key, uid))
        .collect()
}

fn deleted(namespaces: &[(&str, usize)]) -> Vec<(ResourceRef, ResourceUid)> {
    listed(namespaces).into_iter().collect()
}

fn counts(removal: &Removal) -> (usize, usize) {
    (removal.gone.len(), removal.held.len())
}

#[test]
fn a_list_that_would_remove_too_much_is_held() {
    for (all, there, held) in [
        (0, 0, false),
        (5, 0, false),
        (10, 0, false),
        (11, 0, true),
        (11, 1, false),
        (55, 44, false),
        (54, 43, true),
        (100, 80, false),
        (100, 79, true),
    ] {
        let removal = of_list(&known(&[("a", all)]), &listed(&[("a", there)]), &Trust::default());
        let expected = if held { (0, all - there) } else { (all - there, 0) };
        assert_eq!(counts(&removal), expected, "{all} known, {there} listed");
    }
}

#[test]
fn resources_that_the_store_does_not_know_do_not_matter() {
    let removal = of_list(
        &known(&[("a", 3)]),
        &listed(&[("a", 50), ("b", 9)]),
        &Trust::default(),
    );
    assert_eq!(removal, Removal::default());
}

#[test]
fn one_namespace_that_went_does_not_hold_the_others() {
    let all = known(&[("a", 100), ("b", 10), ("c", 10)]);
    let removal = of_list(&all, &listed(&[("b", 9), ("c", 8)]), &Trust::default());
    assert_eq!(counts(&removal), (3, 100));
    assert!(removal.held.iter().all(|uid| uid.as_str().starts_with("a-")));
    // Many small ones that go at once are a wrong list.
    let many: Vec<(String, usize)> = (0..40).map(|number| (format!("n{number}"), 5)).collect();
    let many: Vec<(&str, usize)> = many.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    let removal = of_list(&known(&many), &HashMap::new(), &Trust::default());
    assert_eq!(counts(&removal), (0, 200));
}

#[test]
fn a_name_that_another_has_is_free() {
    let all = known(&[("a", 100)]);
    let anew = listed(&[("a", 100)])
        .into_iter()
        .map(|(key, uid)| (key, ResourceUid::new(format!("{uid}-anew"))))
        .collect();
    assert_eq!(counts(&of_list(&all, &anew, &Trust::default())), (100, 0));
}

#[test]
fn what_is_held_stays_so_until_it_is_accepted() {
    let all = known(&[("a", 5)]);
    let after_missing_kind = Trust {
        after_missing_kind: true,
        ..Trust::default()
    };
    let removal = of_list(&all, &HashMap::new(), &after_missing_kind);
    assert_eq!(counts(&removal), (0, 5));
    let held = || Trust {
        held: removal.held.iter().cloned().collect(),
        ..Trust::default()
    };
    assert_eq!(counts(&of_list(&all, &HashMap::new(), &held())), (0, 5));
    for (accepted, expected) in [(4, (0, 5)), (5, (5, 0))] {
        let trust = Trust { accepted, ..held() };
        assert_eq!(
            counts(&of_list(&all, &HashMap::new(), &trust)),
            expected,
            "{accepted}"
        );
    }
    let all = known(&[("a", 12)]);
    for (accepted, expected) in [(11, (0, 12)), (12, (12, 0))] {
        let trust = Trust {
            accepted,
            ..Trust::default()
        };
        assert_eq!(
            counts(&of_list(&all, &HashMap::new(), &trust)),
            expected,
            "{accepted}"
        );
    }
}

#[test]
fn many_deletions_are_believed_within_one_namespace() {
    let all = [("a", 100), ("b", 20), ("c", 20), ("d", 2)];
    let small: Vec<(String, usize)> = (0..40).map(|number| (format!("n{number}"), 2)).collect();
    let small: Vec<(&str, usize)> = small
        .iter()
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    let one_of_each: Vec<(&str, usize)> = small.iter().map(|(name, _)| (*name, 1)).collect();
    let few: &[(&str, usize)] = &[("a", 5), ("b", 5)];
    for (what, known_of, deleted_of, expected) in [
        ("one namespace", &all[..], &[("a", 100)][..], (100, 0)),
        ("no mass", &all, &[("b", 14), ("c", 14)], (28, 0)),
        (
            "two, each no mass of the others",
            &all,
            &[("b", 15), ("c", 15)],
            (30, 0),
        ),
        (
            "another's leaked client meanwhile",
            &all,
            &[("a", 100), ("d", 1)],
            (101, 0),
        ),
        (
            "and it was the only one",
            &[("a", 100), ("b", 20), ("d", 1)],
            &[("a", 100), ("d", 1)],
            (101, 0),
        ),
        ("two that are masses", &all, &[("a", 100), ("b", 15)], (0, 115)),
        (
            "two that are masses, and a few",
            &all,
            &[("a", 100), ("b", 15), ("d", 2)],
            (2, 115),
        ),
        (
            "nothing is left, though one is large",
            &all[2..],
            &[("c", 20), ("d", 2)],
            (0, 22),
        ),
        ("one is left", &all[2..], &[("c", 20), ("d", 1)], (21, 0)),
        ("many small ones", &small, &one_of_each, (0, 40)),
        ("all that there is, but few", few, &[("a", 5), ("b", 5)], (10, 0)),
    ] {
        let removal = of_deletions(&known(known_of), &deleted(deleted_of));
        assert_eq!(counts(&removal), expected, "{what}");
        if what.ends_with("a few") {
            assert!(removal.gone.iter().all(|uid| uid.as_str().starts_with("d-")));
        }
    }
    let gone = of_deletions(&known(few), &deleted(&[("a", 7)])).gone;
    assert_eq!(
        gone.last().expect("some are gone"),
        &uid("a", 4),
        "only what is known"
    );
}
