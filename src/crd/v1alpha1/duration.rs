//! Durations as people write them: `90s`, `10m`, `14d`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A number with one of the units `s`, `m`, `h`, `d`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DurationText(String);

impl DurationText {
    /// Takes the text as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The duration; `None` when the text is not written like `90s`, `10m`, `14d`.
    pub fn parse(&self) -> Option<Duration> {
        let (position, unit) = self.0.char_indices().last()?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            _ => return None,
        };
        let digits = self.0.get(..position)?;
        let plain = (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !plain || (digits.len() > 1 && digits.starts_with('0')) {
            return None;
        }
        let number: u64 = digits.parse().ok()?;
        Some(Duration::from_secs(number * seconds))
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl JsonSchema for DurationText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 7,
            "pattern": "^(0|[1-9][0-9]{0,5})[smhd]$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_with_one_unit() {
        let seconds = |text: &str| DurationText::new(text).parse().map(|it| it.as_secs());
        assert_eq!(seconds("0s"), Some(0));
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("10m"), Some(600));
        assert_eq!(seconds("1h"), Some(3_600));
        assert_eq!(seconds("14d"), Some(1_209_600));
        for bad in [
            "", "s", "10", "1h30m", "-1s", "+1s", "1.5h", "01s", "1 s", "1w", "1000000s", "١s", "10µ",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
