//! Request parameters in the form encoding (RFC 6749 appendix B), parsed once.

use thiserror::Error;
use url::form_urlencoded;
use zeroize::Zeroizing;

/// The most parameters of one request.
pub const MAX_PARAMETERS: usize = 64;

/// Why parameters could not be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ParametersError {
    /// More than [`MAX_PARAMETERS`].
    #[error("more than {MAX_PARAMETERS} parameters")]
    TooMany,
    /// A name or value is not UTF-8 after decoding.
    #[error("a parameter is not UTF-8")]
    NotUtf8,
}

/// The parameter of this name came more than once (RFC 6749 sections 3.1 and 3.2 forbid it).
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the parameter {0} is repeated")]
pub struct Repeated(pub &'static str);

/// Parameters in the order of arrival. Values may be secrets, so there is no `Debug`, and they are wiped when dropped.
#[derive(Clone, Default)]
pub struct Parameters(Vec<(String, Zeroizing<String>)>);

impl Parameters {
    /// Parses a query string or form body. Parameters with an empty value count as absent (RFC 6749 section 3.1).
    pub fn parse(encoded: &[u8]) -> Result<Self, ParametersError> {
        if encoded
            .split(|byte| *byte == b'&')
            .filter(|pair| !pair.is_empty())
            .count()
            > MAX_PARAMETERS
        {
            return Err(ParametersError::TooMany);
        }
        let mut parameters = Vec::new();
        for pair in encoded.split(|byte| *byte == b'&') {
            let Some((name, value)) = form_urlencoded::parse(pair).next() else {
                continue;
            };
            // `form_urlencoded` replaces what is not UTF-8 instead of refusing it.
            let replaced = |text: &str| text.contains('\u{FFFD}');
            if replaced(&name) || replaced(&value) {
                return Err(ParametersError::NotUtf8);
            }
            if !value.is_empty() {
                parameters.push((name.into_owned(), Zeroizing::new(value.into_owned())));
            }
        }
        Ok(Self(parameters))
    }

    /// Takes names and values that came in another form; empty values count as absent.
    pub fn from_pairs(pairs: impl Iterator<Item = (String, String)>) -> Result<Self, ParametersError> {
        let parameters: Vec<_> = pairs
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name, Zeroizing::new(value)))
            .collect();
        if parameters.len() > MAX_PARAMETERS {
            return Err(ParametersError::TooMany);
        }
        Ok(Self(parameters))
    }

    /// The value of `name`, which may come once.
    pub fn single(&self, name: &'static str) -> Result<Option<&str>, Repeated> {
        let mut values = self
            .0
            .iter()
            .filter(|(candidate, _)| candidate == name)
            .map(|(_, value)| value.as_str());
        let first = values.next();
        if values.next().is_some() {
            Err(Repeated(name))
        } else {
            Ok(first)
        }
    }

    /// Whether any of `names` comes more than once: the first such name.
    pub fn first_repeated(&self, names: &[&'static str]) -> Option<&'static str> {
        names.iter().copied().find(|name| self.single(name).is_err())
    }

    /// Names and values in the order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The form encoding again.
    pub fn encode(&self) -> Zeroizing<String> {
        let mut serializer = form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.iter() {
            serializer.append_pair(name, value);
        }
        Zeroizing::new(serializer.finish())
    }
}
