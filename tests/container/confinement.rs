//! What the kernel says about the container's first process: who it is, what it may, and where it can write.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, Result};
use rustix::process::Pid;

use crate::container::User;
use crate::volumes::Mount;

/// What a container may.
pub(crate) struct Confined {
    user: User,
    /// Where volumes are mounted that it may write into.
    writable: BTreeSet<String>,
    /// Where volumes are mounted that it may only read.
    readable: BTreeSet<String>,
}

impl Confined {
    pub(crate) fn new(user: &User, mounts: &[Mount]) -> Self {
        let paths = |read_only: bool| {
            let chosen = mounts.iter().filter(|mount| mount.read_only == read_only);
            chosen.map(|mount| mount.path.clone()).collect()
        };
        Self {
            user: user.clone(),
            writable: paths(false),
            readable: paths(true),
        }
    }
}

/// It is who the pod says, without any right, and can write into the volumes that are for it and nowhere else.
pub(crate) fn check(process: Pid, confined: &Confined) -> Result<()> {
    let folder = format!("/proc/{}", process.as_raw_pid());
    has_no_rights(&read(&folder, "status")?)?;
    for (field, map, expected) in [
        ("Uid", "uid_map", confined.user.id),
        ("Gid", "gid_map", confined.user.group),
    ] {
        let status = read(&folder, "status")?;
        let map = read(&folder, map)?;
        for id in values(&status, field)?.split_whitespace() {
            let own = inside(&map, id.parse()?);
            anyhow::ensure!(own == Some(expected), "{field} {id} is {own:?} in {map}");
            anyhow::ensure!(id != "0", "{field} is root's outside");
        }
    }
    let writable = writable(&read(&folder, "mountinfo")?)?;
    anyhow::ensure!(
        writable == confined.writable,
        "it can write in {writable:?}, the pod says {:?}",
        confined.writable
    );
    let root = format!("{folder}/root");
    let elsewhere = ["", "/etc", "/usr/local/bin", "/var/lib"].map(str::to_owned);
    for path in elsewhere.iter().chain(&confined.readable) {
        let tried = fs::write(format!("{root}{path}/written"), "");
        let refused = tried
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::ReadOnlyFilesystem);
        anyhow::ensure!(refused, "writing into {path}/ ended with {tried:?}");
    }
    Ok(())
}

fn read(folder: &str, name: &str) -> Result<String> {
    fs::read_to_string(format!("{folder}/{name}"))
        .with_context(|| format!("failed to read {name} of the container"))
}

/// Capabilities(7), and `NoNewPrivs` and `Seccomp` of proc(5): 2 is a filter.
fn has_no_rights(status: &str) -> Result<()> {
    for field in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let set = values(status, field)?;
        anyhow::ensure!(u64::from_str_radix(set, 16)? == 0, "{field} is {set}");
    }
    for (field, expected) in [("NoNewPrivs", "1"), ("Seccomp", "2")] {
        let value = values(status, field)?;
        anyhow::ensure!(value == expected, "{field} is {value}");
    }
    Ok(())
}

fn values<'a>(status: &'a str, field: &str) -> Result<&'a str> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.map(str::trim)
        .with_context(|| format!("no {field} in {status}"))
}

/// What a number of ours is in the container's user namespace (`user_namespaces(7)`: inside, outside, how many).
fn inside(map: &str, id: u32) -> Option<u32> {
    map.lines().find_map(|line| {
        let numbers: Vec<u32> = line
            .split_whitespace()
            .map_while(|word| word.parse().ok())
            .collect();
        let [inside, outside, count] = numbers.as_slice() else {
            return None;
        };
        let offset = id.checked_sub(*outside)?;
        (offset < *count).then(|| inside + offset)
    })
}

/// Where something is mounted that can be written, beside what every container has (proc(5), `mountinfo`).
fn writable(mountinfo: &str) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for line in mountinfo.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let (path, options) = (
            words.get(4).context("no path")?,
            words.get(5).context("no options")?,
        );
        let of_every_container = ["/proc", "/dev"].iter().any(|own| {
            path.strip_prefix(own)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if !of_every_container && options.split(',').any(|option| option == "rw") {
            found.insert((*path).to_owned());
        }
    }
    Ok(found)
}
