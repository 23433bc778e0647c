//! The cost of each operation in nanoseconds, and the layout of the cores.

macro_rules! costs {
    ($($(#[$doc:meta])* $name:ident = $value:expr,)*) => {
        /// The costs of one machine. The defaults are for a server with two sockets of 64 cores, in
        /// which eight cores share an L3.
        #[derive(Debug, Clone)]
        pub struct Costs {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Default for Costs {
            fn default() -> Self {
                Self { $($name: $value,)* }
            }
        }

        impl Costs {
            /// Changes the cost with this name. Returns whether there is one.
            #[must_use = "a name without a price changes nothing"]
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name {
                    $(stringify!($name) => self.$name = value,)*
                    _ => return false,
                }
                true
            }
        }
    };
}

costs! {
    /// The instructions around an access.
    instructions = 2,
    /// An access to a line in the core's own cache.
    hit = 1,
    /// A read-modify-write or a `SeqCst` store, in addition to getting the line.
    locked = 8,
    /// A modified line from a core with the same L3.
    same_l3 = 60,
    /// A line from another core of the same socket.
    same_socket = 120,
    /// A line from the other socket.
    other_socket = 250,
    /// A line that is unmodified in the L3, or that no core has touched yet.
    l3_hit = 25,
    /// How long one read delays the next one of a line that many cores read.
    read_turn = 4,
    /// A plain store to a line that is elsewhere. The store buffer takes it.
    store = 3,
    /// How far the store buffer can lag behind.
    store_buffer = 3_000,
    /// How many misses of one scan can be in flight.
    overlap = 6,
    /// A spin-loop hint to the processor.
    pause = 25,
    /// A reading of the clock.
    clock = 20,
    /// `yield_now` when there is no thread to yield to.
    yield_call = 400,
    /// A kernel call that puts a thread to sleep, both ways together.
    futex_wait = 700,
    /// A kernel call that wakes a thread.
    futex_wake = 1_500,
    /// The same if no thread sleeps there.
    futex_wake_nobody = 300,
    /// From that call until the woken thread runs, if its core is idle.
    wake_latency = 6_000,
    /// The switch from one thread to the next on the same core.
    switch = 1_500,
    /// How long a thread keeps its core while another thread waits for it.
    slice = 3_000_000,
    /// A call that starts a thread.
    start_thread = 15_000,
    /// `membarrier`, without the cost for each core.
    barrier = 1_000,
    /// The additional cost for each other core that runs a thread.
    barrier_each = 300,
    /// The cost to each of these cores.
    barrier_interrupt = 500,
    /// How far a thread may run ahead of the others while it touches only what its core owns.
    lookahead = 50,
    /// Cores that share one L3.
    cores_per_l3 = 8,
    /// Cores in one socket.
    cores_per_socket = 64,
}

/// How close two cores are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Distance {
    SameL3,
    SameSocket,
    OtherSocket,
}

impl Costs {
    pub(crate) fn distance(&self, one: usize, other: usize) -> Distance {
        let (one, other) = (one as u64, other as u64);
        if one / self.cores_per_l3 == other / self.cores_per_l3 {
            Distance::SameL3
        } else if one / self.cores_per_socket == other / self.cores_per_socket {
            Distance::SameSocket
        } else {
            Distance::OtherSocket
        }
    }

    /// The time to get a modified line, or to take a line away.
    pub(crate) fn transfer(&self, distance: Distance) -> u64 {
        match distance {
            Distance::SameL3 => self.same_l3,
            Distance::SameSocket => self.same_socket,
            Distance::OtherSocket => self.other_socket,
        }
    }
}
