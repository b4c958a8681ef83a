//! What a password must be when a person or an administrator sets it. Nothing here touches a password that is only
//! presented.

use thiserror::Error;
use zeroize::Zeroizing;

use super::password::Password;

/// Fewest and most characters (OWASP ASVS 5.0, 6.2.1 and 6.2.9).
const MIN_CHARACTERS: usize = 8;
const MAX_CHARACTERS: usize = 128;

/// The 3,000 most common ones that are long enough (OWASP ASVS 5.0, 6.2.4), in lower case; where they are from stands
/// beside the file.
const COMMON: &str = include_str!("password_rules/common_passwords.txt");

/// Why a password cannot be set. The messages are for people and never tell anything of the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PasswordRuleError {
    /// Too few characters.
    #[error("the password is shorter than 8 characters; choose a longer one")]
    TooShort,
    /// Too many characters.
    #[error("the password is longer than 128 characters; choose a shorter one")]
    TooLong,
    /// Among the first that anybody tries.
    #[error("the password is one of the most common ones; choose one that is harder to guess")]
    Common,
}

/// Checks a password that is about to be set: its length, and that it is not a common one in any case of letters. It is
/// taken as typed: nothing is trimmed, and no kinds of characters are asked for.
pub fn check(password: &Password) -> Result<(), PasswordRuleError> {
    let characters = password.expose().chars().count();
    if characters < MIN_CHARACTERS {
        return Err(PasswordRuleError::TooShort);
    }
    if characters > MAX_CHARACTERS {
        return Err(PasswordRuleError::TooLong);
    }
    let lower = Zeroizing::new(password.expose().to_lowercase());
    if COMMON.lines().any(|common| common == lower.as_str()) {
        return Err(PasswordRuleError::Common);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule 66: 8 to 128 characters, counted as characters and exactly as typed; no composition rules; the top 3,000 are
    /// refused.
    #[test]
    fn rule_66_length_and_common_ones_only() {
        use PasswordRuleError::{Common, TooLong, TooShort};
        let table = [
            (String::new(), Err(TooShort)),
            ("x7#kQ2!".to_owned(), Err(TooShort)),
            ("x7#kQ2!z".to_owned(), Ok(())),
            ("        ".to_owned(), Ok(())),
            (" x7#kQ2 ".to_owned(), Ok(())),
            ("übergröß".to_owned(), Ok(())),
            ("üüüüüüü".to_owned(), Err(TooShort)),
            ("correct horse battery staple".to_owned(), Ok(())),
            ("🔑".repeat(128), Ok(())),
            ("q".repeat(128), Ok(())),
            ("q".repeat(129), Err(TooLong)),
            ("password".to_owned(), Err(Common)),
            ("PassWord".to_owned(), Err(Common)),
            ("12345678".to_owned(), Err(Common)),
            ("trustno1".to_owned(), Err(Common)),
            ("password ".to_owned(), Ok(())),
        ];
        for (text, expected) in table {
            assert_eq!(
                check(&Password::new(text.as_str()).unwrap()),
                expected,
                "{text:?}"
            );
        }
    }

    /// Rule 66: the list holds 3,000 passwords, each of them long enough to be refused for being there.
    #[test]
    fn rule_66_the_list_is_whole() {
        assert_eq!(COMMON.lines().count(), 3000);
        for common in COMMON.lines() {
            let found = check(&Password::new(common).unwrap());
            assert_eq!(found, Err(PasswordRuleError::Common), "{common:?}");
        }
    }
}
