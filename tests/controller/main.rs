//! The controller on a real etcd and kube-apiserver, with the roles and the admission policies of the chart and under the
//! chart's own ServiceAccount. Each test has a namespace of its own.

mod admission;
mod clients;
mod conflicts;
mod drift;
mod harness;
mod outage;
mod removal;
mod restart;
mod startup;
mod users;
