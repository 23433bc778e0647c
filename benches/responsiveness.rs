//! How responsive the example `http_server` stays while it computes, and how much it computes: four
//! ways side by side.
//!
//! ```text
//! cargo bench --bench responsiveness                              all four, some minutes
//! cargo bench --bench responsiveness -- --rounds 3 --ways rayon,rayon_nice,corepool
//! ```
//!
//! The server runs on a thread of its own. One client asks `/health` again and again, with a pause
//! of 2 ms after each answer; its latencies are the result, without other load and while eight
//! connections keep the computing routes busy, each of which asks again as soon as it has an
//! answer. Their answers a second are the throughput. The clients live in this process and share
//! its cores with the server: the same for every way. The work is the same too, and every answer is
//! looked at.
//!
//! The server asks its workers to give way (`server/pooled.rs` says how), which is most of the
//! difference between `rayon` and `corepool`. Two more ways, which are measured when asked for,
//! show that: `rayon_nice` and `corepool_rude`.
//!
//! Nice workers give way to strangers too, so it says how much of the machine those had: with more
//! than a few hundredths the answers a second mean little, and those a second of CPU still
//! something.
//!
//! A way that does not answer is asked less often, as its client waits: of the slow ways the
//! percentiles say too little, not too much.
#[path = "responsiveness/load.rs"]
mod load;
#[path = "responsiveness/options.rs"]
mod options;
#[path = "responsiveness/rounds.rs"]
mod rounds;
#[expect(dead_code, reason = "the example uses the rest")]
#[path = "../examples/http_server/server/mod.rs"]
mod server;
#[path = "responsiveness/table.rs"]
mod table;
#[expect(dead_code, reason = "the other benches use the rest")]
#[path = "support/usage.rs"]
mod usage;
#[path = "responsiveness/ways.rs"]
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
