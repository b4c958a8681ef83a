//! The wiring: the only module that names concrete back ends.
