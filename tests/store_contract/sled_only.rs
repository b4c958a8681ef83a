//! What only the embedded back end promises.
