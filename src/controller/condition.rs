//! Conditions as they are written: the time of a transition stays while the status of its condition does.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::clock::Timestamp;

/// What a condition says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) holds: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Verdict {
    pub(super) fn yes(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            holds: true,
            reason,
            message: message.into(),
        }
    }

    pub(super) fn no(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            holds: false,
            reason,
            message: message.into(),
        }
    }
}

/// The longest message, in characters: some of them repeat what stands in a spec, and a status is a place for a sentence.
const LONGEST_MESSAGE: usize = 1024;

/// Collects the conditions of one status.
pub(super) struct Conditions<'a> {
    previous: &'a [Condition],
    generation: Option<i64>,
    now: Timestamp,
    collected: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    pub(super) fn new(previous: &'a [Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self {
            previous,
            generation,
            now,
            collected: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, type_: &str, verdict: &Verdict) {
        let status = if verdict.holds { "True" } else { "False" };
        let since = self
            .previous
            .iter()
            .find(|before| before.type_ == type_ && before.status == status)
            .map_or_else(
                || whole_seconds(self.now),
                |before| before.last_transition_time.clone(),
            );
        self.collected.push(Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: verdict.reason.to_owned(),
            message: shortened(&verdict.message),
            observed_generation: self.generation,
            last_transition_time: since,
        });
    }

    pub(super) fn finish(self) -> Vec<Condition> {
        self.collected
    }
}

fn shortened(message: &str) -> String {
    match message.char_indices().nth(LONGEST_MESSAGE) {
        None => message.to_owned(),
        Some((end, _)) => format!("{}…", &message[..end]),
    }
}

/// Kubernetes keeps whole seconds; a finer time would differ from what comes back.
pub(super) fn whole_seconds(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transition_time_stays_until_the_status_changes() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut first = Conditions::new(&[], Some(1), at(10));
        first.add("Ready", &Verdict::no("A", "a"));
        let first = first.finish();

        let mut second = Conditions::new(&first, Some(2), at(20));
        second.add("Ready", &Verdict::no("B", "b"));
        let second = second.finish();
        assert_eq!(second[0].last_transition_time, first[0].last_transition_time);
        assert_eq!(
            (second[0].reason.as_str(), second[0].observed_generation),
            ("B", Some(2))
        );

        let mut third = Conditions::new(&second, Some(2), at(30));
        third.add("Ready", &Verdict::yes("C", "c"));
        assert_eq!(third.finish()[0].last_transition_time, Time(at(30)));
    }

    #[test]
    fn a_message_is_a_sentence_and_not_what_somebody_put_into_a_spec() {
        let mut conditions = Conditions::new(&[], Some(1), Timestamp::from_second(10).unwrap());
        for length in [1, LONGEST_MESSAGE, LONGEST_MESSAGE + 1, 1_000_000] {
            conditions.add("Ready", &Verdict::no("A", "\u{e4}".repeat(length)));
        }
        let lengths: Vec<usize> = conditions
            .finish()
            .iter()
            .map(|condition| condition.message.chars().count())
            .collect();
        assert_eq!(
            lengths,
            [1, LONGEST_MESSAGE, LONGEST_MESSAGE + 1, LONGEST_MESSAGE + 1]
        );
    }
}
