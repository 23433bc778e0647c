//! Passes numbers and sizes of all kinds to the public functions that take them. Each call must
//! return an error, panic as documented, or work.
#![no_main]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU16, AtomicU32, Ordering};
use std::sync::{LazyLock, Once};
use std::time::Duration;

use corepool::shared::{self, Atomic};
use corepool::{BuildError, Dispatch, SharedArray, WhenFull, WorkerPool};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

/// More than this of anything only costs time and memory.
const MANY: usize = 3_000;
const MOST_WORKERS: usize = 4_096;

static POOL: LazyLock<WorkerPool> = LazyLock::new(|| WorkerPool::with_workers(2).unwrap());

fuzz_target!(|data: &[u8]| {
    static QUIET: Once = Once::new();
    // Panics are caught here. A panic that is not caught ends the process anyway.
    QUIET.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            if panic.location().is_some_and(|place| place.file().ends_with("sizes.rs")) {
                eprintln!("{panic}");
            }
        }))
    });
    let mut bytes = Unstructured::new(data);
    for _ in 0..8 {
        if bytes.is_empty() || step(&mut bytes).is_err() {
            break;
        }
    }
});

fn step(bytes: &mut Unstructured<'_>) -> Result<()> {
    match bytes.int_in_range(0..=5)? {
        0 => build(bytes),
        1 => array(bytes),
        2 => windows(bytes),
        3 => slices(bytes),
        4 => index(bytes),
        _ => times(bytes),
    }
}

/// Small numbers, numbers near the limits, and arbitrary numbers.
fn size(bytes: &mut Unstructured<'_>) -> Result<usize> {
    let any = bytes.arbitrary::<u64>()? as usize;
    Ok(match bytes.int_in_range(0..=3)? {
        0 => any % 17,
        1 => usize::MAX - any % 17,
        2 => 1_usize.rotate_left(any as u32).wrapping_add(any >> 60).wrapping_sub(8),
        _ => any,
    })
}

fn few(bytes: &mut Unstructured<'_>) -> Result<usize> {
    Ok(size(bytes)? % MANY)
}

fn duration(bytes: &mut Unstructured<'_>) -> Result<Duration> {
    let nanos = bytes.arbitrary::<u32>()? % 1_000_000_000;
    Ok(Duration::new(size(bytes)? as u64, nanos))
}

fn build(bytes: &mut Unstructured<'_>) -> Result<()> {
    let workers = size(bytes)?;
    // Avoid starting thousands of threads; `limits` does that once.
    let workers = if (5..=MOST_WORKERS).contains(&workers) { workers % 4 } else { workers };
    let mut builder = WorkerPool::builder().workers(workers);
    let capacity = size(bytes)?;
    if bytes.arbitrary()? {
        let policies =
            [WhenFull::Reject, WhenFull::CallerRuns, WhenFull::DropOldest, WhenFull::Block];
        builder = builder.queue_capacity(capacity).when_full(*bytes.choose(&policies)?);
    }
    if bytes.arbitrary()? {
        builder = builder.spare_workers(size(bytes)?);
    }
    if bytes.arbitrary()? {
        builder = builder.watchdog(duration(bytes)?);
    }
    if bytes.arbitrary()? {
        builder = builder.dispatch(Dispatch::RoundRobin);
    }
    let stack = size(bytes)?;
    let has_stack = bytes.arbitrary()?;
    if has_stack {
        // Megabytes of stack are requested, but rarely touched.
        builder = builder.stack_size(stack);
    }
    match builder.record_timing(bytes.arbitrary()?).build() {
        Ok(pool) => {
            assert!((1..=MOST_WORKERS).contains(&workers));
            let tasks = few(bytes)? % 50;
            let set = (0..tasks).map(|n| pool.spawn(move || n)).collect::<Vec<_>>();
            let sum: usize = set.into_iter().filter_map(|task| task.join().ok()).sum();
            assert!(sum <= tasks * tasks.saturating_sub(1) / 2);
            let report = pool.shutdown_timeout(duration(bytes)?);
            assert!(report.abandoned.len() <= tasks);
        }
        Err(BuildError::WorkerCount { asked, .. }) => {
            assert_eq!(asked, workers);
            assert!(!(1..=MOST_WORKERS).contains(&workers));
        }
        Err(why) => assert!(has_stack, "{workers} workers, capacity {capacity}: {why}"),
    }
    Ok(())
}

fn array(bytes: &mut Unstructured<'_>) -> Result<()> {
    let length = size(bytes)?;
    // Do not request and zero an amount of memory that may exist.
    let length = if (1 << 16..1 << 48).contains(&length) { length % (1 << 16) } else { length };
    let at = size(bytes)?;
    match bytes.int_in_range(0..=3)? {
        0 => use_array::<AtomicU8>(length, at, |cell| cell.fetch_add(1, Ordering::SeqCst) == 0),
        1 => use_array::<AtomicU16>(length, at, |cell| cell.fetch_add(1, Ordering::SeqCst) == 0),
        2 => use_array::<AtomicU32>(length, at, |cell| cell.fetch_add(1, Ordering::SeqCst) == 0),
        _ => use_array::<AtomicI64>(length, at, |cell| cell.fetch_add(1, Ordering::SeqCst) == 0),
    }
    Ok(())
}

fn use_array<A: Atomic>(length: usize, at: usize, touch: fn(&A) -> bool) {
    let Ok(array) = catch_unwind(|| SharedArray::<A>::new(length)) else {
        assert!(length >= 1 << 16, "there is memory for {length}");
        return;
    };
    assert!(length < 1 << 48 && array.len() == length);
    let copy = array.clone();
    assert_eq!(copy.get(at).is_some(), at < length);
    let touched = catch_unwind(AssertUnwindSafe(|| touch(&copy[at])));
    assert_eq!(touched.ok(), (at < length).then_some(true));
    assert!(array.iter().rev().take(100).all(|cell| shared::notify(cell, at) == 0));
}

fn windows(bytes: &mut Unstructured<'_>) -> Result<()> {
    let (window, count) = (size(bytes)?, few(bytes)?);
    let window = if (MANY..usize::MAX >> 8).contains(&window) { window % MANY } else { window };
    let ordered: Vec<_> = POOL.map_ordered(0..count, window, |n| n).map(|n| n.unwrap()).collect();
    assert!(ordered.iter().copied().eq(0..count));
    let mut any: Vec<_> = POOL.map_unordered(0..count, window, |n| n).map(|n| n.unwrap()).collect();
    any.sort_unstable();
    assert!(any == ordered);
    let batch = POOL.spawn_batch((0..count).map(|n| move || n));
    assert_eq!(batch.map(|n| n.unwrap()).sum::<usize>(), (0..count).sum());
    Ok(())
}

fn slices(bytes: &mut Unstructured<'_>) -> Result<()> {
    let (count, block) = (few(bytes)?, size(bytes)?);
    let mut numbers: Vec<usize> = (0..count).collect();
    assert_eq!(
        POOL.map_reduce(&numbers, |n| *n, |a, b| a + b),
        numbers.iter().copied().reduce(|a, b| a + b)
    );
    POOL.for_each_mut(&mut numbers, |n| *n += 1);
    assert!(POOL.map(&numbers, |n| n - 1).into_iter().eq(0..count));
    // Ranges that end at the last number, and ranges that are empty or reversed.
    let start = block;
    let end = start.saturating_add(count);
    assert_eq!(POOL.map(start..end, |n| n).len(), end - start);
    assert_eq!(POOL.map(end..start, |n| n).len(), start.saturating_sub(end));
    let nothing = vec![(); count];
    assert_eq!(POOL.map(&nothing, |()| ()).len(), count);
    Ok(())
}

fn index(bytes: &mut Unstructured<'_>) -> Result<()> {
    let worker = size(bytes)?;
    let spawned = catch_unwind(|| POOL.task().on_worker(worker).spawn(move || worker).join());
    assert_eq!(spawned.ok().map(|result| result.unwrap()), (worker < 2).then_some(worker));
    Ok(())
}

fn times(bytes: &mut Unstructured<'_>) -> Result<()> {
    let (start_within, run_for) = (duration(bytes)?, duration(bytes)?);
    let mut task = POOL.task().start_within(start_within).run_for(run_for).spawn(|| 7);
    let result = task.join_timeout(duration(bytes)?).unwrap_or_else(|| task.join());
    assert!(result.is_ok_and(|seven| seven == 7) || start_within < Duration::from_secs(60));
    Ok(())
}
