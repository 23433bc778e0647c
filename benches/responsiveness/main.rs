//! How responsive the program `http_server` stays while it computes, and how much it computes, in
//! four ways.
//!
//! ```text
//! cargo bench --bench responsiveness                              all four, some minutes
//! cargo bench --bench responsiveness -- --rounds 3 --ways rayon,rayon_nice,corepool
//! ```
//!
//! The server runs on a separate thread. One client requests `/health` repeatedly, with a pause of
//! 2 ms after each answer. Its latencies are the result, first without other load, then while eight
//! connections keep the computing routes busy. Each of these sends its next request as soon as it
//! has an answer. Their answers per second are the throughput. The clients live in this process and
//! share its cores with the server, which is the same for every way. The work is the same too, and
//! every answer is checked.
//!
//! The server lowers the priority of its workers (see `server/pooled.rs`), which is most of the
//! difference between `rayon` and `corepool`. Two more ways, measured on request, show this:
//! `rayon_nice` and `corepool_rude`.
//!
//! Nice workers also give way to other processes, so the bench reports how much of the machine
//! those used. With more than a few hundredths the answers per second mean little, but the answers
//! per second of CPU time still mean something.
//!
//! A way that does not answer gets fewer requests, because its client waits. So the percentiles of
//! the slow ways understate the delay, and never overstate it.
mod load;
mod options;
mod rounds;
mod table;
#[expect(dead_code, reason = "the other benches use the rest")]
#[path = "../support/usage.rs"]
mod usage;
mod ways;

use options::Options;

fn main() {
    let options = Options::read();
    let runs = rounds::measure(&options);
    if options.test {
        println!("responsiveness: every answer is right, {} ways", runs.len());
    } else {
        table::print(&runs);
    }
}
