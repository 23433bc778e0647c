//! How much CPU time the control groups of this process grant, counted in cores.
//!
//! A group shares the grant of the groups around it. So each of them is read, from the process's
//! own up to the outermost visible one, and the tightest bound counts. `num_cpus` and others read
//! only the process's own group, which often has no bound of its own: for example a service in a
//! slice that has one, or a shell that a tool puts into a group inside that of its container.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// The two versions of the kernel's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    First,
    Second,
}

type Read<'a> = &'a dyn Fn(&Path) -> Option<String>;

/// How many threads can run all the time, rounded up. `None` if there is no bound, or if none can
/// be read.
///
/// It is read once, because a pool does not change with it later either.
pub(super) fn cores_granted() -> Option<usize> {
    static GRANTED: OnceLock<Option<usize>> = OnceLock::new();
    // Miri interprets the program, and the other systems and the virtual machine have no such
    // files.
    let is_there = cfg!(all(target_os = "linux", not(any(miri, corepool_virtual))));
    *GRANTED.get_or_init(|| {
        if is_there { granted(&|path| fs::read_to_string(path).ok()) } else { None }
    })
}

fn granted(read: Read<'_>) -> Option<usize> {
    let groups = read(Path::new("/proc/self/cgroup"))?;
    let mounts = read(Path::new("/proc/self/mountinfo"))?;
    let (version, path) = own_group(&groups)?;
    let (root, point) = mounts.lines().find_map(|line| mount(version, line))?;
    let point = Path::new(point);
    // In a container the path may be that of the host. In this case the mounted group is the
    // container's own.
    let inside = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
    let own = point.join(inside);
    let around = own.ancestors().take_while(|folder| folder.starts_with(point));
    around.filter_map(|folder| grant(version, folder, read)).min()
}

/// The process's group. Where both versions are in use, the first one has the controller if it is
/// named there.
fn own_group(groups: &str) -> Option<(Version, &str)> {
    let lines = || {
        groups.lines().filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            rest.split_once(':')
        })
    };
    let first = lines().find(|(controllers, _)| has_cpu(controllers));
    let second = || lines().find(|(controllers, _)| controllers.is_empty());
    first
        .map(|(_, path)| (Version::First, path))
        .or_else(|| second().map(|(_, path)| (Version::Second, path)))
}

fn has_cpu(list: &str) -> bool {
    list.split(',').any(|name| name == "cpu")
}

/// Which group is mounted, and where, if this line is about the right mount.
fn mount(version: Version, line: &str) -> Option<(&str, &str)> {
    let (place, kind) = line.split_once(" - ")?;
    let mut kind = kind.split(' ');
    let is_it = match version {
        Version::First => kind.next() == Some("cgroup") && kind.nth(1).is_some_and(has_cpu),
        Version::Second => kind.next() == Some("cgroup2"),
    };
    let mut place = place.split(' ').skip(3);
    if is_it { Some((place.next()?, place.next()?)) } else { None }
}

/// The grant of one group. A missing bound is `-1` or `max`, neither of which parses as a number
/// here.
fn grant(version: Version, folder: &Path, read: Read<'_>) -> Option<usize> {
    let (quota, period) = match version {
        Version::First => {
            (read(&folder.join("cpu.cfs_quota_us"))?, read(&folder.join("cpu.cfs_period_us"))?)
        }
        Version::Second => {
            let both = read(&folder.join("cpu.max"))?;
            let (quota, period) = both.trim().split_once(' ')?;
            (quota.to_owned(), period.to_owned())
        }
    };
    let (quota, period) = (quota.trim().parse::<usize>().ok()?, period.trim().parse().ok()?);
    (period > 0).then(|| quota.div_ceil(period).max(1))
}

/// Not on Windows, which uses other separators in paths.
#[cfg(all(test, not(windows)))]
mod tests {
    use super::granted;

    const FIRST: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
        33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct\n\
        32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime shared:7 - cgroup cgroup rw,cpu\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
    const SECOND: &str = "24 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";

    /// The grant of a process in this group, if these mounts and files are all there is.
    fn with(group: &str, mounts: &str, files: &[(&str, &str)]) -> Option<usize> {
        granted(&|path| {
            let path = path.to_str()?;
            let fixed = [("/proc/self/cgroup", group), ("/proc/self/mountinfo", mounts)];
            let found = fixed.iter().chain(files).find(|(name, _)| *name == path);
            found.map(|(_, text)| (*text).to_owned())
        })
    }

    fn first(group: &str, quotas: &[(&str, &str)]) -> Option<usize> {
        let mut files = Vec::new();
        for (folder, quota) in quotas {
            let folder = format!("/sys/fs/cgroup/cpu{folder}");
            files.push((format!("{folder}/cpu.cfs_quota_us"), format!("{quota}\n")));
            files.push((format!("{folder}/cpu.cfs_period_us"), "100000\n".to_owned()));
        }
        let files: Vec<_> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
        with(group, FIRST, &files)
    }

    #[test]
    fn a_part_of_a_core_is_rounded_up() {
        for (quota, cores) in
            [("50000", 1), ("100000", 1), ("150000", 2), ("1000000", 10), ("0", 1)]
        {
            assert_eq!(first("1:cpu:/a", &[("/a", quota)]), Some(cores), "{quota}");
        }
    }

    #[test]
    fn the_tightest_bound_of_all_around_counts() {
        let group = "2:cpuacct:/\n1:cpu:/a/b/c\n0::/x";
        assert_eq!(first(group, &[("/a", "200000"), ("/a/b", "-1"), ("/a/b/c", "-1")]), Some(2));
        assert_eq!(first(group, &[("/a", "200000"), ("/a/b/c", "400000")]), Some(2));
        assert_eq!(first(group, &[("/a", "800000"), ("/a/b", "300000")]), Some(3));
        assert_eq!(first(group, &[("/a/b/d", "100000"), ("", "-1")]), None, "others' bounds");
    }

    #[test]
    fn the_second_version_says_both_numbers_in_one_file() {
        let max = |text| [("/sys/fs/cgroup/a.slice/cpu.max", text)];
        for (text, cores) in [("50000 100000\n", Some(1)), ("max 100000\n", None), ("1", None)] {
            assert_eq!(with("0::/a.slice/b.service\n", SECOND, &max(text)), cores, "{text}");
        }
        let group = "0::/\n";
        assert_eq!(with(group, SECOND, &[("/sys/fs/cgroup/cpu.max", "250000 100000")]), Some(3));
    }

    #[test]
    fn the_first_version_counts_where_both_are_in_use() {
        let unified = [("/sys/fs/cgroup/unified/cpu.max", "100000 100000")];
        assert_eq!(with("1:cpu,cpuacct:/\n0::/", FIRST, &unified), None);
        assert_eq!(with("1:cpuacct:/\n0::/", FIRST, &unified), Some(1));
    }

    #[test]
    fn in_a_container_the_mounted_group_is_ones_own() {
        let mounts = "9 8 0:1 /docker/ab /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct";
        let files = [
            ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000"),
        ];
        for group in ["1:cpu:/docker/ab", "1:cpu:/docker/ab/c", "1:cpu:/", "1:cpu:/../cd"] {
            assert_eq!(with(group, mounts, &files), Some(2), "{group}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_no_bound() {
        assert_eq!(granted(&|_| None), None);
        for group in ["", "1:cpu", "nonsense", ":::", "0::/a"] {
            assert_eq!(first(group, &[("/a", "100000")]), None, "{group}");
        }
        for mounts in ["", " - ", "1 - cgroup2", "1 2 3 / - cgroup2 cgroup2 rw"] {
            assert_eq!(with("0::/", mounts, &[]), None, "{mounts}");
        }
        for period in ["0", "-5", "", "many"] {
            let files = [
                ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000"),
                ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period),
            ];
            assert_eq!(with("1:cpu:/", FIRST, &files), None, "{period}");
        }
    }
}
