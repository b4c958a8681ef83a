use super::*;

fn keys(count: usize) -> Vec<ResourceRef> {
    (0..count)
        .map(|number| ResourceRef {
            namespace: "team-a".to_owned(),
            name: format!("app-{number:04}"),
        })
        .collect()
}

/// Runs a sweep as the loop does and gives when who was written.
fn run(
    sweep: &mut HealSweep,
    keys: &[ResourceRef],
    from: Instant,
    length: Duration,
) -> Vec<(Duration, String)> {
    let mut written = Vec::new();
    while let Some(due) = sweep.next_due().filter(|due| *due <= from + length) {
        if let Some(key) = sweep.take(keys.iter(), due) {
            written.push((due - from, key.name));
        }
    }
    written
}

#[test]
fn everybody_gets_a_turn_in_each_interval() {
    let keys = keys(10);
    let start = Instant::now();
    let mut sweep = HealSweep::new(Some(Duration::from_mins(5)), HealBudget::default());
    assert_eq!(sweep.next_due(), None, "nothing before the first list");
    sweep.begin(keys.len(), start);
    let written = run(&mut sweep, &keys, start, Duration::from_mins(10));
    let names: Vec<&str> = written.iter().map(|(_, name)| name.as_str()).collect();
    let expected: Vec<&str> = keys.iter().chain(&keys).map(|key| key.name.as_str()).collect();
    assert_eq!(names, expected);
    assert_eq!(written[0].0, Duration::from_secs(30));
    assert_eq!(written[19].0, Duration::from_mins(10));
}

#[test]
fn it_stretches_so_that_two_kinds_together_write_at_most_twice_a_second() {
    let (clients, users) = (keys(5_000), keys(3_000));
    let start = Instant::now();
    let budget = HealBudget::default();
    let mut sweeps = [
        (
            HealSweep::new(Some(Duration::from_mins(5)), budget.clone()),
            &clients,
        ),
        (HealSweep::new(Some(Duration::from_mins(5)), budget), &users),
    ];
    for (sweep, keys) in &mut sweeps {
        sweep.begin(keys.len(), start);
    }
    let mut times = Vec::new();
    let mut seen = [0, 0];
    while let Some(index) = (0..2)
        .filter(|index| {
            sweeps[*index]
                .0
                .next_due()
                .is_some_and(|due| due <= start + Duration::from_mins(10))
        })
        .min_by_key(|index| sweeps[*index].0.next_due())
    {
        let (sweep, keys) = &mut sweeps[index];
        let due = sweep.next_due().unwrap();
        if sweep.take(keys.iter(), due).is_some() {
            times.push(due);
            seen[index] += 1;
        }
    }
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= SHORTEST_GAP));
    assert!(times.len() > 1_100, "{}", times.len());
    assert!(
        seen.iter().all(|count| *count > 400),
        "neither starves the other: {seen:?}"
    );
}

#[test]
fn who_comes_and_goes_does_not_stop_it() {
    let start = Instant::now();
    let mut sweep = HealSweep::new(Some(Duration::from_mins(5)), HealBudget::default());
    sweep.begin(0, start);
    assert!(run(&mut sweep, &[], start, Duration::from_hours(1)).is_empty());
    let three = keys(3);
    let from = sweep.next_due().unwrap();
    assert_eq!(run(&mut sweep, &three, from, Duration::ZERO)[0].1, "app-0000");
    // The last one that was written is gone.
    let from = sweep.next_due().unwrap();
    assert_eq!(
        run(&mut sweep, &three[1..], from, Duration::ZERO)[0].1,
        "app-0001"
    );

    let mut off = HealSweep::new(None, HealBudget::default());
    off.begin(3, start);
    assert_eq!(off.next_due(), None);
}
