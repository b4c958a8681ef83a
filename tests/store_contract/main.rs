//! The contract of the store port: plain functions over `&dyn Store` and a clock, run against each back end.

#[path = "../common/clock.rs"]
mod clock;
#[path = "../common/fixtures.rs"]
mod fixtures;
#[path = "../common/random.rs"]
mod random;

/// Every operation of the port says in a line `SQL:` which statement or short transaction implements it in PostgreSQL, so
/// that a database fits later without changing a caller.
#[test]
fn every_operation_of_the_port_names_its_sql() {
    let source = include_str!("../../src/store.rs");
    let port = source.split_once("pub trait Store").unwrap().1;
    let mut documentation = String::new();
    let mut operations = 0;
    for line in port.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            documentation.push_str(text);
            documentation.push('\n');
        } else if let Some(signature) = line.strip_prefix("async fn ") {
            let sql = documentation
                .lines()
                .find_map(|line| line.trim().strip_prefix("SQL: "));
            assert!(
                sql.is_some_and(|sql| sql.contains('`')),
                "no `SQL:` line: {signature}"
            );
            operations += 1;
            documentation.clear();
        }
    }
    assert!(operations > 30, "found only {operations} operations");
}
