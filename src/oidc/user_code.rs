//! `user_code` (RFC 8628 section 6.1): what a person reads on one device and types on another.

use crate::random::{self, Random};

/// Consonants that are not taken for one another, and with which nobody spells a word (RFC 8628 section 6.1). Eight of them
/// are 34 bits, for ten minutes and against a throttle.
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LENGTH: usize = 8;

/// A user code: eight letters of [`ALPHABET`].
#[derive(Clone, PartialEq, Eq)]
pub struct UserCode(String);

impl UserCode {
    /// Draws one. Each letter is as likely as any other.
    pub fn generate(random: &dyn Random) -> Self {
        let mut letters = String::with_capacity(LENGTH);
        while letters.len() < LENGTH {
            let [byte] = random::bytes::<1>(random);
            // The last bytes would make some letters likelier.
            if byte < 240
                && let Some(letter) = ALPHABET.get(usize::from(byte) % ALPHABET.len())
            {
                letters.push(char::from(*letter));
            }
        }
        Self(letters)
    }

    /// Reads what somebody typed: case, spaces and punctuation do not matter. `None` if that is no user code.
    pub fn parse(typed: &str) -> Option<Self> {
        let letters: String = typed
            .chars()
            .filter(|character| !character.is_whitespace() && !character.is_ascii_punctuation())
            .map(|character| character.to_ascii_uppercase())
            .collect();
        let is_letter = |byte: u8| ALPHABET.contains(&byte);
        (letters.len() == LENGTH && letters.bytes().all(is_letter)).then_some(Self(letters))
    }

    /// The letters alone, for a store's key.
    pub fn letters(&self) -> &str {
        &self.0
    }

    /// As people see it, in two halves.
    pub fn shown(&self) -> String {
        let (first, second) = self.0.split_at(LENGTH / 2);
        format!("{first}-{second}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);

    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for byte in bytes {
                *byte = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }

    /// Eight letters of the set, each as likely as any other (rule 43).
    #[test]
    fn rule_43_a_user_code_is_eight_unambiguous_letters() {
        let random = Counting(std::sync::atomic::AtomicU8::new(0));
        let mut counts = [0; 256];
        // 240 bytes of 256 are used, eight a code: 30 codes.
        for _ in 0..30 {
            let code = UserCode::generate(&random);
            assert!(UserCode::parse(&code.shown()).is_some_and(|read| read == code));
            for byte in code.letters().bytes() {
                counts[usize::from(byte)] += 1;
            }
        }
        for letter in ALPHABET {
            assert_eq!(counts[usize::from(*letter)], 12, "{}", char::from(*letter));
        }
        for confusing in b"AEIOUY0123456789" {
            assert!(!ALPHABET.contains(confusing), "{}", char::from(*confusing));
        }
    }

    #[test]
    fn rule_43_case_and_separators_do_not_matter() {
        for typed in [
            "BCDF-GHJK",
            "bcdfghjk",
            " bcdf ghjk ",
            "b.c.d.f_g/h(j)k",
            "BCDF\u{a0}GHJK\t",
        ] {
            let read = UserCode::parse(typed);
            assert_eq!(
                read.map(|code| code.shown()).as_deref(),
                Some("BCDF-GHJK"),
                "{typed}"
            );
        }
        for typed in [
            "",
            "BCDF-GHJ",
            "BCDF-GHJKL",
            "BCDF-GHJA",
            "BCDF-GHJ1",
            "ЬCDF-GHJK",
            "ßCDFGHJ",
        ] {
            assert!(UserCode::parse(typed).is_none(), "{typed}");
        }
    }
}
