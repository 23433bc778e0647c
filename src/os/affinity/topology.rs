//! What the machine consists of: which hardware threads share a physical core, a cache or a memory
//! node, and which are slow.
//!
//! Linux describes this under `/sys/devices`. Any of the files may be missing: in containers, on
//! other systems, on machines that are not hybrid. Unknown properties make no difference between
//! cores, with one exception: a core whose siblings are unknown counts as a physical core of its
//! own, because one worker too many costs less than an unused core.
//!
//! A physical core is identified by the text of its list of siblings, which all siblings share. The
//! pair of package and core id looks more natural, but is not unique on machines with several dies
//! in a package.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::base::sync::real::Mutex;

/// The folder in which the kernel describes the machine.
const ROOT: &str = "/sys/devices";
/// A core counts as slow if its capacity is less than this fraction of the fastest core's. Cores of
/// one kind differ by a few percent.
const FAST: (u32, u32) = (2, 3);

/// The kind of a worker's core, on machines that have two kinds.
///
/// ```
/// use corepool::metrics::CoreKind;
/// let pool = corepool::WorkerPool::new()?;
/// let is_slow = |kind| kind == Some(CoreKind::Efficiency);
/// let slow = pool.workers().iter().filter(|worker| is_slow(worker.core_kind)).count();
/// assert!(slow <= pool.worker_count());
/// # Ok::<(), corepool::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CoreKind {
    /// One of the fast cores. Pools take these first.
    Performance,
    /// One of the slower cores, which need less energy.
    Efficiency,
}

/// The groups to which a core belongs. A group's number only tells whether two groups are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CorePlace {
    /// The hardware threads of one physical core.
    pub(super) physical: usize,
    /// The cores that share a last-level cache.
    pub(super) cache: usize,
    /// The cores that are near the same memory.
    pub(super) node: usize,
    /// None if all cores are alike, or if it is not known.
    pub(super) kind: Option<CoreKind>,
}

/// What is known about some cores.
#[derive(Debug, Default)]
pub(crate) struct Topology {
    places: BTreeMap<usize, CorePlace>,
}

impl Topology {
    /// Reads what the system says about these cores. The last result is kept, because reading takes
    /// about 10 µs for each core, and machines do not change.
    pub(crate) fn of_machine(cores: &[usize]) -> Arc<Self> {
        static KNOWN: Mutex<Option<Arc<Topology>>> = Mutex::new(None);
        let mut known = KNOWN.lock();
        let kept = known.take();
        let fits = |topology: &Arc<Self>| topology.places.keys().eq(cores);
        let topology = kept.filter(fits).unwrap_or_else(|| {
            // Miri interprets the program; the cores of a virtual machine have one thread each.
            let has_files = cfg!(all(target_os = "linux", not(any(miri, corepool_virtual))));
            let root = if has_files { ROOT } else { "" };
            Arc::new(Self::read(Path::new(root), cores))
        });
        *known = Some(Arc::clone(&topology));
        topology
    }

    /// Reads from another folder than the kernel's, in tests.
    pub(super) fn read(root: &Path, cores: &[usize]) -> Self {
        let files = Files { root };
        let kinds = files.kinds(cores);
        let nodes = files.nodes();
        let mut groups = Groups::default();
        let place = |&core: &usize| {
            let folder = format!("system/cpu/cpu{core}");
            let siblings = ["core_cpus_list", "thread_siblings_list"];
            let physical = siblings
                .iter()
                .find_map(|name| files.text(&format!("{folder}/topology/{name}")))
                .unwrap_or_else(|| format!("only {core}"));
            let caches = ["cache/index3/shared_cpu_list", "cache/index2/shared_cpu_list"];
            let packages = ["topology/package_cpus_list", "topology/core_siblings_list"];
            let cache = caches
                .iter()
                .chain(&packages)
                .find_map(|name| files.text(&format!("{folder}/{name}")))
                .unwrap_or_default();
            let node = nodes.iter().find(|(_, cores)| cores.has(core)).map(|(name, _)| &**name);
            let place = CorePlace {
                physical: groups.number("core", &physical),
                cache: groups.number("cache", &cache),
                node: groups.number("node", node.unwrap_or_default()),
                kind: kinds.get(&core).copied(),
            };
            (core, place)
        };
        Self { places: cores.iter().map(place).collect() }
    }

    /// A core about which nothing is known counts as a physical core of its own.
    pub(super) fn place(&self, core: usize) -> CorePlace {
        let unknown = CorePlace { physical: usize::MAX - core, cache: 0, node: 0, kind: None };
        self.places.get(&core).copied().unwrap_or(unknown)
    }

    /// The kind of a core, if there are two kinds.
    pub(crate) fn kind(&self, core: usize) -> Option<CoreKind> {
        self.place(core).kind
    }

    /// The first hardware thread of each physical core among `cores`, in the order given.
    ///
    /// "First" means among those that may be used: a mask can hold only the second thread of a
    /// core.
    pub(crate) fn one_per_physical(&self, cores: &[usize]) -> Vec<usize> {
        let mut seen = std::collections::HashSet::new();
        let is_first = |&core: &usize| seen.insert(self.place(core).physical);
        cores.iter().copied().filter(is_first).collect()
    }
}

/// Gives each group of cores a number, based on the kernel's name for it.
#[derive(Debug, Default)]
struct Groups {
    known: HashMap<String, usize>,
}

impl Groups {
    fn number(&mut self, what: &str, name: &str) -> usize {
        let next = self.known.len();
        *self.known.entry(format!("{what} {name}")).or_insert(next)
    }
}

/// The kernel's files, or those of a test.
struct Files<'a> {
    root: &'a Path,
}

impl Files<'_> {
    fn text(&self, path: &str) -> Option<String> {
        let text = fs::read_to_string(self.root.join(path)).ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn list(&self, path: &str) -> Option<List> {
        self.text(path).map(|text| List::of(&text))
    }

    /// Each memory node's name and cores.
    fn nodes(&self) -> Vec<(String, List)> {
        let folders = fs::read_dir(self.root.join("system/node"));
        let mut nodes: Vec<_> = folders
            .into_iter()
            .flatten()
            .filter_map(|folder| {
                let name = folder.ok()?.file_name().into_string().ok()?;
                name.strip_prefix("node")?.parse::<usize>().ok()?;
                let cores = self.list(&format!("system/node/{name}/cpulist"))?;
                Some((name, cores))
            })
            .collect();
        nodes.sort_by(|(one, _), (other, _)| one.cmp(other));
        nodes
    }

    /// The kinds of these cores, if there are two kinds. Intel's processors have a folder for each
    /// kind; elsewhere the kernel states the capacity of each core.
    fn kinds(&self, cores: &[usize]) -> HashMap<usize, CoreKind> {
        let folder = |name: &str| self.list(&format!("{name}/cpus"));
        let kind_of: HashMap<_, _> = match (folder("cpu_core"), folder("cpu_atom")) {
            (Some(fast), Some(slow)) => cores
                .iter()
                .filter_map(|&core| match (fast.has(core), slow.has(core)) {
                    (true, _) => Some((core, CoreKind::Performance)),
                    (false, true) => Some((core, CoreKind::Efficiency)),
                    (false, false) => None,
                })
                .collect(),
            _ => self.kinds_by_capacity(cores),
        };
        let has = |kind| kind_of.values().any(|&other| other == kind);
        let is_hybrid = has(CoreKind::Performance) && has(CoreKind::Efficiency);
        if is_hybrid { kind_of } else { HashMap::new() }
    }

    fn kinds_by_capacity(&self, cores: &[usize]) -> HashMap<usize, CoreKind> {
        let capacity = |&core: &usize| {
            let text = self.text(&format!("system/cpu/cpu{core}/cpu_capacity"))?;
            Some((core, text.parse::<u32>().ok()?))
        };
        let capacities: Vec<_> = cores.iter().filter_map(capacity).collect();
        let most = capacities.iter().map(|(_, capacity)| *capacity).max().unwrap_or(0);
        let kind = |capacity: u32| {
            let is_fast =
                u64::from(capacity) * u64::from(FAST.1) >= u64::from(most) * u64::from(FAST.0);
            if is_fast { CoreKind::Performance } else { CoreKind::Efficiency }
        };
        capacities.into_iter().map(|(core, capacity)| (core, kind(capacity))).collect()
    }
}

/// A list of cores as the kernel writes it: `0-3,8`.
#[derive(Debug)]
struct List(Vec<(usize, usize)>);

impl List {
    /// Parts that do not parse are left out.
    fn of(text: &str) -> Self {
        let range = |part: &str| {
            let part = part.trim();
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some((first.parse().ok()?, last.parse().ok()?))
        };
        Self(text.split(',').filter_map(range).collect())
    }

    fn has(&self, core: usize) -> bool {
        self.0.iter().any(|&(first, last)| (first..=last).contains(&core))
    }
}

#[cfg(all(test, not(miri)))]
pub(super) mod tests;
