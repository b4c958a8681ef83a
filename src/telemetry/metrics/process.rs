//! The process as Linux sees it, under the names that every Prometheus client uses.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Units of the times in `/proc`: `USER_HZ` is 100 on every architecture that claviger is built for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads `/proc/self` at each scrape. What cannot be read is left out.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        if let Some(seconds) = cpu_seconds() {
            let counter = ConstCounter::new(seconds);
            let help = "CPU time that the process took";
            let metric =
                encoder.encode_descriptor("process_cpu_seconds", help, None, counter.metric_type())?;
            counter.encode(metric)?;
        }
        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "Memory that the process holds",
                resident_bytes(),
            ),
            (
                "process_open_fds",
                "Open file descriptors",
                open_file_descriptors(),
            ),
            (
                "process_max_fds",
                "The most file descriptors that may be open",
                most_file_descriptors(),
            ),
            ("process_threads", "Threads of the process", threads()),
            (
                "process_start_time_seconds",
                "When the process began",
                start_time(),
            ),
        ] {
            if let Some(value) = value {
                let gauge = ConstGauge::new(value);
                gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
            }
        }
        Ok(())
    }
}

/// A number of a line like `VmRSS:  1234 kB`.
fn field(file: &str, name: &str) -> Option<f64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_start_matches(':')
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

fn resident_bytes() -> Option<f64> {
    field("/proc/self/status", "VmRSS:").map(|kibibytes| kibibytes * 1024.0)
}

fn threads() -> Option<f64> {
    field("/proc/self/status", "Threads:")
}

fn open_file_descriptors() -> Option<f64> {
    // One of them is the folder that is being read.
    let open = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    u32::try_from(open).ok().map(f64::from)
}

fn most_file_descriptors() -> Option<f64> {
    field("/proc/self/limits", "Max open files")
}

/// The numbers of `/proc/self/stat` behind the name of the process, which may hold anything (proc(5)).
fn stat(index: usize) -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, numbers) = text.rsplit_once(')')?;
    // What follows the name is field 3.
    numbers.split_whitespace().nth(index - 3)?.parse().ok()
}

fn cpu_seconds() -> Option<f64> {
    Some((stat(14)? + stat(15)?) / TICKS_PER_SECOND)
}

fn start_time() -> Option<f64> {
    Some(field("/proc/stat", "btime")? + stat(22)? / TICKS_PER_SECOND)
}
