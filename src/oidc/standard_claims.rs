//! What is known of a person beyond name, e-mail address and groups: the rest of the standard claims (OpenID Connect Core
//! section 5.1), and the forms that their values have. Registration applies the checks; nobody else makes values.

use serde::{Deserialize, Serialize};
use url::Url;

/// The rest of the standard claims. All are optional; the names are those of the specification.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names of the specification")]
pub struct StandardClaims {
    pub middle_name: Option<String>,
    pub nickname: Option<String>,
    /// See [`is_web_address`].
    pub profile: Option<String>,
    /// See [`is_web_address`].
    pub picture: Option<String>,
    /// See [`is_web_address`].
    pub website: Option<String>,
    pub gender: Option<String>,
    /// See [`is_birthdate`].
    pub birthdate: Option<String>,
    /// See [`is_zone_name`].
    pub zoneinfo: Option<String>,
    /// See [`is_locale`].
    pub locale: Option<String>,
    /// See [`is_phone_number`].
    pub phone_number: Option<String>,
    /// Never true without a number.
    pub phone_number_verified: bool,
    /// Never without any member.
    pub address: Option<Address>,
}

impl StandardClaims {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A postal address (OpenID Connect Core section 5.1.1), written as the claim is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names of the specification")]
pub struct Address {
    /// All of it, in lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formatted: Option<String>,
    /// May have lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

/// An absolute `https` or `http` URL of at most 2048 characters, without a user name in it: apps show it as a link.
pub fn is_web_address(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._~:/?#@!$&'()*+,;=%[]-".contains(&byte);
    let after_scheme = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    text.len() <= 2048
        && text.bytes().all(legal)
        // `Url` takes the path for the host where there is none, as browsers do.
        && after_scheme.is_some_and(|rest| !rest.starts_with('/'))
        && Url::parse(text)
            .is_ok_and(|url| url.has_host() && url.username().is_empty() && url.password().is_none())
}

/// A date `YYYY-MM-DD` of the Gregorian calendar, where the year `0000` means that it is not told, or a year `YYYY`.
pub fn is_birthdate(text: &str) -> bool {
    let number = |digits: &str| {
        let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        all_digits.then(|| digits.parse::<i16>().ok()).flatten()
    };
    match text.split('-').collect::<Vec<_>>().as_slice() {
        [year] => year.len() == 4 && number(year).is_some(),
        [year, month, day] if (year.len(), month.len(), day.len()) == (4, 2, 2) => {
            let (Some(year), Some(month), Some(day)) = (number(year), number(month), number(day)) else {
                return false;
            };
            // Who does not tell the year may be born on the 29th of February.
            let year = if year == 0 { 2000 } else { year };
            let (Ok(month), Ok(day)) = (i8::try_from(month), i8::try_from(day)) else {
                return false;
            };
            jiff::civil::Date::new(year, month, day).is_ok()
        }
        _ => false,
    }
}

/// A name in the form of the time zone database, like `Europe/Berlin`. Whether there is such a zone is not checked: zones
/// come and go, and the app's database decides.
pub fn is_zone_name(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
    };
    text.len() <= 64 && text.split('/').count() <= 3 && text.split('/').all(part)
}

/// A language tag in the form of BCP 47 (RFC 5646 section 2.1), like `de-CH`.
pub fn is_locale(text: &str) -> bool {
    let mut subtags = text.split('-');
    let language = subtags.next().unwrap_or_default();
    text.len() <= 35
        && (2..=8).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic())
        && subtags.all(|subtag| {
            (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

/// An international number as E.164 has it, with the separators that people write, and an extension as RFC 3966 writes it:
/// `+1 (425) 555-1212;ext=5678`.
pub fn is_phone_number(text: &str) -> bool {
    let (number, extension) = match text.split_once(";ext=") {
        None => (text, None),
        Some((number, extension)) => (number, Some(extension)),
    };
    let Some(number) = number.strip_prefix('+') else {
        return false;
    };
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    text.len() <= 48
        && (4..=15).contains(&digits)
        && number.ends_with(|last: char| last.is_ascii_digit())
        && number
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b" ().-".contains(&byte))
        && extension.is_none_or(|extension| {
            (1..=10).contains(&extension.len()) && extension.bytes().all(|byte| byte.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_table(check: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(check(text), "{text} is refused");
        }
        for text in bad {
            assert!(!check(text), "{text} is taken");
        }
    }

    #[test]
    fn web_addresses() {
        let long = format!("https://a.example/{}", "x".repeat(2048));
        assert_table(
            is_web_address,
            &[
                "https://example.org",
                "http://example.org:8080/~ada?x=%20#me",
                "https://[2001:db8::1]/",
            ],
            &[
                "",
                "example.org",
                "ftp://example.org/",
                "javascript:alert(1)",
                "data:image/png;base64,AA",
                "HTTPS://example.org",
                "https://",
                "https:///path",
                "https://ada@example.org/",
                "https://ada:x@example.org/",
                "https://example.org/a b",
                "https://example.org/\"><script>",
                "https://exämple.org/",
                "https://example.org\\@evil.example",
                &long,
            ],
        );
    }

    #[test]
    fn birthdates() {
        assert_table(
            is_birthdate,
            &["1815-12-10", "1815", "0000-02-29", "2000-02-29", "0000"],
            &[
                "",
                "815",
                "1815-12",
                "1815-13-01",
                "1815-02-29",
                "1815-00-10",
                "1815-1-1",
                "10.12.1815",
                "18151210",
                "+815-12-10",
                "1815-12-10T00:00",
                "1815-12-10-01",
            ],
        );
    }

    #[test]
    fn zone_names() {
        assert_table(
            is_zone_name,
            &[
                "UTC",
                "Europe/Berlin",
                "America/Argentina/Buenos_Aires",
                "Etc/GMT+1",
            ],
            &[
                "",
                "/",
                "Europe/",
                "Europe//Berlin",
                "a/b/c/d",
                "Europe/Zürich",
                "../etc/passwd",
                "a b",
            ],
        );
    }

    #[test]
    fn locales() {
        assert_table(
            is_locale,
            &["de", "de-CH", "zh-Hant-TW", "de-1996", "en-US-u-ca-gregory"],
            &[
                "",
                "d",
                "de_CH",
                "de-",
                "-de",
                "de-toolongsubtag",
                "12",
                "de--CH",
                "dé",
            ],
        );
    }

    #[test]
    fn phone_numbers() {
        assert_table(
            is_phone_number,
            &[
                "+1 (425) 555-1212",
                "+442079460000",
                "+1 (604) 555-1234;ext=5678",
                "+56.2.687.2400",
            ],
            &[
                "",
                "+",
                "0441234",
                "425 555 1212",
                "+1",
                "+1234567890123456",
                "+1 425 555 CALL",
                "+1 425 555-",
                "+14255551212;ext=",
                "+14255551212;ext=a",
                "+14255551212;isub=1",
                "++14255551212",
            ],
        );
    }
}
