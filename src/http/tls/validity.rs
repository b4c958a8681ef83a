//! When a certificate is valid (RFC 5280 section 4.1.2.5). The TLS library reads this too but does not tell: to a server
//! its own certificate's dates mean nothing.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::concern::Concern;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The explicit tag of the version.
const VERSION: u8 = 0xa0;
/// At most this long before the end it is of concern: half the time that a certificate of 90 days has left when it is
/// usually renewed.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The first and the last instant of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

impl Validity {
    /// That of a certificate in DER.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = value(certificate, SEQUENCE)?;
        let (mut rest, _) = value(certificate, SEQUENCE)?;
        if let Some((_, after)) = value(rest, VERSION) {
            rest = after;
        }
        for tag in [INTEGER, SEQUENCE, SEQUENCE] {
            // Serial number, signature algorithm, issuer.
            (_, rest) = value(rest, tag)?;
        }
        let (validity, _) = value(rest, SEQUENCE)?;
        let (not_before, rest) = time(validity)?;
        let (not_after, _) = time(rest)?;
        Some(Self {
            not_before,
            not_after,
        })
    }

    /// What is wrong with it at an instant. "Soon" is a fifth of the whole validity, so that certificates of a day do not
    /// warn all day, and at most [`SOON`].
    pub(super) fn concern(&self, now: Timestamp) -> Option<Concern> {
        let soon = (self.not_after.duration_since(self.not_before) / 5).min(SOON);
        let (at, from) = (self.not_after, self.not_before);
        if now > at {
            Some(Concern::Expired { at })
        } else if now < from {
            Some(Concern::NotYetValid { from })
        } else if at.duration_since(now) < soon {
            Some(Concern::ExpiresSoon { at })
        } else {
            None
        }
    }
}

/// The contents of the element at the beginning, if it has this tag, and what comes after it.
fn value(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}

fn time(input: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (text, rest, century) = if let Some((text, rest)) = value(input, UTC_TIME) {
        // RFC 5280 section 4.1.2.5.1: 50 to 99 are of the last century.
        let century = if text.first()? >= &b'5' { "19" } else { "20" };
        (text, rest, century)
    } else {
        let (text, rest) = value(input, GENERALIZED_TIME)?;
        (text, rest, "")
    };
    let text = format!("{century}{}", std::str::from_utf8(text).ok()?);
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    Some((time.to_zoned(TimeZone::UTC).ok()?.timestamp(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_concern_when() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let quarter = Validity {
            not_before: at("2026-01-01T00:00:00Z"),
            not_after: at("2026-04-01T00:00:00Z"),
        };
        let day = Validity {
            not_before: at("2026-01-01T00:00:00Z"),
            not_after: at("2026-01-02T00:00:00Z"),
        };
        let soon = |validity: Validity| {
            Some(Concern::ExpiresSoon {
                at: validity.not_after,
            })
        };
        for (validity, now, expected) in [
            (
                quarter,
                "2025-12-31T23:59:59Z",
                Some(Concern::NotYetValid {
                    from: quarter.not_before,
                }),
            ),
            (quarter, "2026-01-01T00:00:00Z", None),
            (quarter, "2026-03-18T00:00:00Z", None),
            (quarter, "2026-03-18T00:00:01Z", soon(quarter)),
            (quarter, "2026-04-01T00:00:00Z", soon(quarter)),
            (
                quarter,
                "2026-04-01T00:00:01Z",
                Some(Concern::Expired {
                    at: quarter.not_after,
                }),
            ),
            (day, "2026-01-01T19:00:00Z", None),
            (day, "2026-01-01T20:00:00Z", soon(day)),
        ] {
            assert_eq!(validity.concern(at(now)), expected, "{now}");
        }
    }

    #[test]
    fn both_ways_of_writing_a_time() {
        let utc = [b"\x17\x0d", b"491231235959Z".as_slice()].concat();
        let last_century = [b"\x17\x0d", b"500101000000Z".as_slice()].concat();
        let generalized = [b"\x18\x0f", b"20500101000000Z".as_slice()].concat();
        for (input, expected) in [
            (utc, "2049-12-31T23:59:59Z"),
            (last_century, "1950-01-01T00:00:00Z"),
            (generalized, "2050-01-01T00:00:00Z"),
        ] {
            let (found, rest) = time(&input).unwrap();
            assert_eq!((found.to_string().as_str(), rest.len()), (expected, 0));
        }
    }

    #[test]
    fn what_is_cut_off_has_no_validity() {
        assert_eq!(Validity::of(b""), None);
        assert_eq!(Validity::of(b"\x30\x84\xff\xff\xff\xff"), None);
        assert_eq!(Validity::of(b"\x30\x80\x00\x00"), None);
    }
}
