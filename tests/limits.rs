//! Limits of the system: threads, cores, time or memory are refused or restricted. Each test runs
//! in a child process.
#![cfg(target_os = "linux")]

mod child;
#[path = "child/skip.rs"]
mod skip;

#[path = "limits/groups.rs"]
mod groups;

#[path = "limits/amounts.rs"]
mod amounts;
#[path = "limits/cores.rs"]
mod cores;
#[path = "limits/cpusets.rs"]
mod cpusets;
#[path = "limits/gaps.rs"]
mod gaps;
#[path = "limits/masks.rs"]
mod masks;
#[path = "limits/quota.rs"]
mod quota;
#[path = "limits/refused.rs"]
mod refused;
#[expect(dead_code, reason = "what only other tests use")]
#[path = "it/support.rs"]
mod support;
#[path = "limits/taken_cores.rs"]
mod taken_cores;
#[path = "limits/threads.rs"]
mod threads;
#[path = "limits/urgent.rs"]
mod urgent;
