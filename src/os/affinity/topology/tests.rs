//! Machines that are made up from files in a temporary folder.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, process};

use super::{CoreKind, List, Topology};

/// A folder like the kernel's, until it is dropped.
pub(crate) struct Machine {
    root: PathBuf,
    cores: usize,
}

impl Machine {
    pub(crate) fn of_cores(cores: usize) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        // ORDERING: only the number matters.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = env::temp_dir().join(format!("corepool-topology-{}-{number}", process::id()));
        Self { root, cores }
    }

    pub(crate) fn file(&self, path: &str, text: impl ToString) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.to_string() + "\n").unwrap();
    }

    pub(crate) fn each(&self, path: &str, text: impl Fn(usize) -> String) {
        for core in 0..self.cores {
            self.file(&format!("system/cpu/cpu{core}/{path}"), text(core));
        }
    }

    pub(crate) fn siblings(&self, group: impl Fn(usize) -> String) {
        self.each("topology/core_cpus_list", group);
    }

    pub(crate) fn caches(&self, group: impl Fn(usize) -> String) {
        self.each("cache/index3/shared_cpu_list", group);
    }

    pub(crate) fn topology(&self) -> Topology {
        let all: Vec<_> = (0..self.cores).collect();
        Topology::read(&self.root, &all)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.root);
    }
}

/// Two hardware threads for each core, side by side: 0 and 1 are one core.
pub(crate) fn adjacent(core: usize) -> String {
    format!("{}-{}", core / 2 * 2, core / 2 * 2 + 1)
}

/// Four cores with two threads each, numbered as most firmware does it: 0 and 4 are one core.
pub(crate) fn far_apart(core: usize) -> String {
    format!("{},{}", core % 4, core % 4 + 4)
}

/// Eight fast cores with two threads each, and eight slow ones.
pub(crate) fn hybrid() -> Machine {
    let machine = Machine::of_cores(24);
    machine.siblings(|core| if core < 16 { adjacent(core) } else { core.to_string() });
    machine.caches(|_| "0-23".to_owned());
    machine.file("cpu_core/cpus", "0-15");
    machine.file("cpu_atom/cpus", "16-23");
    machine
}

#[test]
fn siblings_count_once() {
    for (group, first) in
        [(far_apart as fn(usize) -> String, [0, 1, 2, 3]), (adjacent, [0, 2, 4, 6])]
    {
        let machine = Machine::of_cores(8);
        machine.siblings(group);
        let all: Vec<_> = (0..8).collect();
        assert_eq!(machine.topology().one_per_physical(&all), first);
    }
}

#[test]
fn a_mask_may_hold_only_the_second_thread_of_a_core() {
    let machine = Machine::of_cores(8);
    machine.each("topology/thread_siblings_list", far_apart);
    assert_eq!(machine.topology().one_per_physical(&[1, 4, 5, 6]), [1, 4, 6], "the older name");
}

#[test]
fn unreadable_cores_all_stay() {
    let none = [1, 5, 900, usize::MAX >> 1, usize::MAX];
    assert_eq!(Topology::default().one_per_physical(&none), none);
    assert_eq!(Topology::read(Path::new("/nowhere"), &none).one_per_physical(&none), none);
    assert!(Topology::default().one_per_physical(&[]).is_empty());
    let machine = Machine::of_cores(8);
    for core in 0..4 {
        machine.file(&format!("system/cpu/cpu{core}/topology/core_cpus_list"), "0-3");
    }
    let topology = machine.topology();
    assert_eq!(topology.one_per_physical(&[0, 1, 4, 5]), [0, 4, 5], "half of them are known");
    let (known, unknown) = (topology.place(0), topology.place(4));
    assert_eq!((known.cache, known.node, known.kind), (unknown.cache, unknown.node, None));
}

#[test]
fn caches_and_nodes_are_told_apart() {
    let machine = Machine::of_cores(8);
    machine.caches(adjacent);
    machine.file("system/node/node0/cpulist", "0-3");
    machine.file("system/node/node1/cpulist", "4-7");
    machine.file("system/node/possible", "0-1");
    let topology = machine.topology();
    let same = |one, other| {
        let (one, other) = (topology.place(one), topology.place(other));
        (one.cache == other.cache, one.node == other.node, one.physical == other.physical)
    };
    assert_eq!(same(0, 1), (true, true, false));
    assert_eq!(same(1, 2), (false, true, false));
    assert_eq!(same(3, 4), (false, false, false));
}

#[test]
fn without_a_third_level_the_second_is_the_last() {
    let machine = Machine::of_cores(4);
    machine.each("cache/index2/shared_cpu_list", adjacent);
    machine.each("topology/package_cpus_list", |_| "0-3".to_owned());
    let topology = machine.topology();
    assert_eq!(topology.place(0).cache, topology.place(1).cache);
    assert_ne!(topology.place(1).cache, topology.place(2).cache);
}

#[test]
fn fast_and_slow_cores_are_told_apart() {
    let topology = hybrid().topology();
    assert_eq!(topology.kind(15), Some(CoreKind::Performance));
    assert_eq!(topology.kind(16), Some(CoreKind::Efficiency));
    let machine = Machine::of_cores(8);
    machine.each("cpu_capacity", |core| [1024, 800, 300, 1009][core % 4].to_string());
    let topology = machine.topology();
    let kinds: Vec<_> = (0..4).map(|core| topology.kind(core).unwrap()).collect();
    let (fast, slow) = (CoreKind::Performance, CoreKind::Efficiency);
    assert_eq!(kinds, [fast, fast, slow, fast]);
}

#[test]
fn cores_that_are_alike_have_no_kind() {
    let machine = Machine::of_cores(4);
    machine.each("cpu_capacity", |core| (1024 - core).to_string());
    assert!((0..4).all(|core| machine.topology().kind(core).is_none()));
    machine.file("cpu_core/cpus", "0-3");
    assert!((0..4).all(|core| machine.topology().kind(core).is_none()), "a part of a hybrid one");
    assert!(machine.root().exists());
}

#[test]
fn lists_are_read_as_the_kernel_writes_them() {
    let list = List::of("0-3,8, 10-11,x,4-");
    let all: Vec<_> = (0..13).filter(|&core| list.has(core)).collect();
    assert_eq!(all, [0, 1, 2, 3, 8, 10, 11]);
    assert!(!List::of("").has(0));
}

#[test]
fn this_machine_is_read() {
    let cores = super::super::usable().cores;
    let topology = Topology::of_machine(&cores);
    assert!(cores.is_empty() || !topology.one_per_physical(&cores).is_empty());
    assert!(std::sync::Arc::ptr_eq(&topology, &Topology::of_machine(&cores)) || cfg!(miri));
}
