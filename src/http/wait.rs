//! How long to wait, as `Retry-After` and people are told it.

use std::time::Duration;

/// Rounded up, so that whoever waits for it has waited long enough.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    let whole = wait.as_secs();
    if wait.subsec_nanos() > 0 {
        whole + 1
    } else {
        whole.max(1)
    }
}

/// For people.
pub(super) fn in_words(wait: Duration) -> String {
    match whole_seconds(wait) {
        1 => "1 second".to_owned(),
        seconds @ ..60 => format!("{seconds} seconds"),
        60 => "1 minute".to_owned(),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_words_and_never_too_short() {
        for (milliseconds, seconds, words) in [
            (0, 1, "1 second"),
            (1, 1, "1 second"),
            (1001, 2, "2 seconds"),
            (59_000, 59, "59 seconds"),
            (60_000, 60, "1 minute"),
            (60_001, 61, "2 minutes"),
            (900_000, 900, "15 minutes"),
        ] {
            let wait = Duration::from_millis(milliseconds);
            assert_eq!((whole_seconds(wait), in_words(wait).as_str()), (seconds, words));
        }
    }
}
