//! What the machine promises: time, order, costs, cores, and the kernel.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use machine::atomic::{AtomicU32, AtomicUsize, Ordering};
use machine::lock::{Condvar, Mutex};
use machine::{Costs, clock, fence, futex, run, thread, work};

/// Runs the program on this many cores, and returns its result.
fn on<T: 'static>(cores: usize, program: impl FnOnce() -> T + 'static) -> T {
    let said = Rc::new(RefCell::new(None));
    let inside = Rc::clone(&said);
    run(Costs::default(), cores, move || *inside.borrow_mut() = Some(program()));
    said.take().expect("the program has ended")
}

/// How long the calling thread takes for `what`.
fn takes(what: impl FnOnce()) -> u64 {
    let start = clock::nanos();
    what();
    clock::nanos() - start
}

/// Starts a thread that moves to this core.
fn start_on(core: usize, program: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        thread::set_mask(&[core]);
        program();
    })
}

#[test]
fn threads_on_cores_of_their_own_work_at_the_same_time() {
    let time = on(4, || {
        takes(|| {
            let threads: Vec<_> = (0..4).map(|core| start_on(core, || work(1_000_000))).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        })
    });
    assert!((1_000_000..1_200_000).contains(&time), "{time}");
}

#[test]
fn threads_on_one_core_take_turns() {
    let time = on(1, || {
        takes(|| {
            let threads: Vec<_> = (0..4).map(|_| start_on(0, || work(1_000_000))).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        })
    });
    assert!((4_000_000..4_300_000).contains(&time), "{time}");
}

#[test]
fn a_sleeper_leaves_its_core_to_others() {
    let time = on(1, || {
        takes(|| {
            let sleeper = start_on(0, || thread::sleep(Duration::from_millis(1)));
            let worker = start_on(0, || work(900_000));
            sleeper.join().unwrap();
            worker.join().unwrap();
        })
    });
    assert!((1_000_000..1_200_000).contains(&time), "{time}");
}

#[test]
fn a_line_is_dearer_the_farther_it_comes() {
    let from = |other: usize| {
        on(128, move || {
            let word = Arc::new(AtomicUsize::new(0));
            let far = Arc::clone(&word);
            start_on(other, move || far.store(1, Ordering::SeqCst)).join().unwrap();
            thread::set_mask(&[0]);
            takes(|| assert_eq!(word.load(Ordering::Relaxed), 1))
        })
    };
    let (own, near, socket, far) = (from(0), from(1), from(20), from(100));
    assert!(own < 10 && own < near && near < socket && socket < far, "{own} {near} {socket} {far}");
    assert!((250..300).contains(&far), "{far}");
}

/// A word that a core of another socket has modified.
fn far_word() -> Arc<AtomicUsize> {
    let word = Arc::new(AtomicUsize::new(0));
    let far = Arc::clone(&word);
    start_on(100, move || far.store(1, Ordering::SeqCst)).join().unwrap();
    thread::set_mask(&[0]);
    word
}

#[test]
fn stores_to_a_line_on_its_way_wait_in_the_store_buffer() {
    let (stores, exchange) = on(128, || {
        let word = far_word();
        let stores = takes(|| (2..4).for_each(|value| word.store(value, Ordering::Relaxed)));
        (stores, takes(|| assert_eq!(word.swap(0, Ordering::Relaxed), 3)))
    });
    assert!(stores < 40, "{stores}");
    assert!((200..300).contains(&exchange), "an exchange comes after the stores: {exchange}");
}

#[test]
fn a_line_that_was_asked_for_comes_meanwhile() {
    let after = |pause: u64| {
        on(128, move || {
            let word = far_word();
            let asking = takes(|| machine::prefetch(Arc::as_ptr(&word).addr()));
            assert!(asking < 40, "{asking}");
            work(pause);
            takes(|| assert_eq!(word.swap(0, Ordering::Relaxed), 1))
        })
    };
    let (at_once, later) = (after(0), after(1_000));
    assert!((200..300).contains(&at_once), "{at_once}");
    assert!(later < 50, "{later}");
}

/// Only a limited number can be in flight.
#[test]
fn of_many_lines_that_were_asked_for_the_last_come_later() {
    let takes = on(128, || {
        let words: Vec<_> = (0..12).map(|_| far_word()).collect();
        words.iter().for_each(|word| machine::prefetch(Arc::as_ptr(word).addr()));
        takes(|| words.iter().for_each(|word| assert_eq!(word.swap(0, Ordering::Relaxed), 1)))
    });
    assert!((400..700).contains(&takes), "{takes}");
}

#[test]
fn a_contended_line_is_passed_from_one_to_the_next() {
    const TIMES: u64 = 1_000;
    let time = on(8, || {
        let word = Arc::new(AtomicUsize::new(0));
        let raise = |core: usize| {
            let word = Arc::clone(&word);
            start_on(core, move || {
                // All at the same time.
                thread::sleep(Duration::from_nanos(1_000_000 - clock::nanos()));
                for _ in 0..TIMES {
                    word.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let time = takes(|| {
            let threads: Vec<_> = (0..8).map(raise).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        assert_eq!(word.load(Ordering::Relaxed), 8 * 1_000);
        time
    });
    // Each transfer waits for the previous one.
    assert!(time - 1_000_000 > 8 * TIMES * 50, "{time}");
}

#[test]
fn a_heavy_fence_costs_its_caller_and_all_that_run() {
    let (alone, beside_three, lost) = on(8, || {
        let alone = takes(fence::heavy);
        let lost = Arc::new(AtomicUsize::new(0));
        let busy: Vec<_> = (0..3)
            .map(|core| {
                let lost = Arc::clone(&lost);
                start_on(core, move || {
                    let word = AtomicU32::new(0);
                    let time = takes(|| {
                        for _ in 0..100 {
                            work(1_000);
                            word.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                    lost.fetch_add(time as usize, Ordering::Relaxed);
                })
            })
            .collect();
        work(5_000);
        let beside_three = takes(|| (0..10).for_each(|_| fence::heavy())) / 10;
        busy.into_iter().for_each(|thread| thread.join().unwrap());
        (alone, beside_three, lost.load(Ordering::Relaxed))
    });
    assert_eq!(alone, 1_000);
    assert_eq!(beside_three, 1_000 + 3 * 300);
    // Ten interrupts of half a microsecond in each.
    assert!((3 * 105_000..3 * 107_000).contains(&lost), "{lost}");
    on(1, || assert_eq!(takes(fence::light), 0));
}

#[test]
fn a_lock_is_held_by_one_and_wakes_the_next() {
    on(8, || {
        let sum = Arc::new(Mutex::new(0_u64));
        let add = |core: usize| {
            let sum = Arc::clone(&sum);
            start_on(core, move || {
                for _ in 0..50 {
                    let mut held = sum.lock();
                    let before = *held;
                    work(3_000);
                    *held = before + 1;
                }
            })
        };
        let threads: Vec<_> = (0..8).map(add).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*sum.lock(), 8 * 50);
        assert!(machine::totals().lock_sleeps > 0, "some waited longer than they spin");
    });
}

#[test]
fn a_futex_looks_wakes_and_gives_up_in_time() {
    on(2, || {
        let word = Arc::new(AtomicU32::new(1));
        assert!(!futex::wait(&word, 0, None), "the word is another");
        let wait = Duration::from_micros(100);
        let time = takes(|| assert!(!futex::wait(&word, 1, Some(wait)), "nobody wakes it"));
        assert!((100_000..110_000).contains(&time), "{time}");
        let sleeper = Arc::clone(&word);
        let asleep = start_on(0, move || assert!(futex::wait(&sleeper, 1, None)));
        work(50_000);
        assert_eq!(futex::wake(&word, usize::MAX), 1);
        asleep.join().unwrap();
    });
}

#[test]
fn a_call_on_a_condition_is_not_lost() {
    on(2, || {
        let place = Arc::new((Mutex::new(false), Condvar::new()));
        let far = Arc::clone(&place);
        let caller = start_on(0, move || {
            work(20_000);
            *far.0.lock() = true;
            far.1.notify_one();
        });
        place.1.wait_while(&mut place.0.lock(), |is_there| !*is_there);
        caller.join().unwrap();
        let end = clock::now() + Duration::from_micros(10);
        assert!(place.1.wait_until(&mut place.0.lock(), end).timed_out());
    });
}

#[test]
fn each_thread_has_its_own_locals_and_drops_them() {
    struct Told(Arc<AtomicUsize>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    machine::thread_local! {
        static MINE: std::cell::Cell<u32> = const { std::cell::Cell::new(7) };
        static TOLD: RefCell<Vec<Told>> = RefCell::new(Vec::new());
    }
    on(1, || {
        let dropped = Arc::new(AtomicUsize::new(0));
        MINE.set(1);
        let theirs = Arc::clone(&dropped);
        let other = thread::spawn(move || {
            assert_eq!(MINE.get(), 7);
            TOLD.with_borrow_mut(|told| told.push(Told(theirs)));
        });
        other.join().unwrap();
        assert_eq!((MINE.get(), dropped.load(Ordering::Relaxed)), (1, 1));
    });
}

#[test]
#[should_panic(expected = "all wait")]
fn a_deadlock_is_told() {
    on(1, thread::park);
}
