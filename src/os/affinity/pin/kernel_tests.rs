//! Tests with pins that the kernel really applies.
#![forbid(unsafe_code)]

use super::{
    Pinned, current_core, handed_on, is_narrowed, pin_current_thread, system, take_after_process,
    unpin_current_thread, unpinned,
};
use std::thread;

fn on_a_fresh_thread(test: impl FnOnce() + Send + 'static) {
    thread::spawn(test).join().unwrap();
}

#[test]
fn a_pinned_thread_runs_where_it_says() {
    for core in system::process_mask().unwrap() {
        on_a_fresh_thread(move || {
            assert_eq!(pin_current_thread(core, &[]), Pinned::To(core));
            assert_eq!(system::thread_mask().unwrap(), [core]);
            assert_eq!(current_core(), Some(core));
            assert!(is_narrowed());
        });
    }
}

#[test]
fn a_refused_core_leaves_the_thread_as_it_was() {
    let there_is_such_a_core = system::process_mask().unwrap().contains(&1023);
    for core in [1023, 1024, usize::MAX].into_iter().skip(there_is_such_a_core.into()) {
        on_a_fresh_thread(move || {
            let before = system::thread_mask();
            let Pinned::Refused(why) = pin_current_thread(core, &[]) else { panic!("{core}") };
            assert!(why.starts_with(&format!("core {core} was refused: ")), "{why}");
            assert_eq!(system::thread_mask(), before);
            assert!(!is_narrowed());
        });
    }
}

/// On Windows a thread starts with the mask of the process.
#[cfg(target_os = "linux")]
#[test]
fn a_child_of_a_pinned_thread_gets_the_whole_set_back() {
    on_a_fresh_thread(|| {
        let all = system::process_mask().unwrap();
        let _ = pin_current_thread(all[0], &all);
        let handed_on = handed_on();
        on_a_fresh_thread(move || {
            assert_eq!(system::thread_mask().unwrap(), all[..1], "inherited");
            unpin_current_thread();
            assert_eq!(system::thread_mask().unwrap(), all[..1], "it does not know whose it is");
            handed_on.undo();
            assert!(!is_narrowed());
            assert_eq!(system::thread_mask().unwrap(), all);
        });
    });
}

#[test]
fn a_mask_that_somebody_else_has_set_is_left_alone() {
    on_a_fresh_thread(|| {
        let core = system::process_mask().unwrap()[0];
        system::set_thread_mask(&[core]).unwrap();
        handed_on().undo();
        unpinned(|| assert_eq!(system::thread_mask().unwrap(), [core]));
        unpin_current_thread();
        assert_eq!(system::thread_mask().unwrap(), [core]);
        take_after_process();
        assert_eq!(system::thread_mask(), system::process_mask(), "but by a thread of the process");
    });
}

#[test]
fn a_thread_can_be_pinned_unpinned_and_pinned_again() {
    on_a_fresh_thread(|| {
        let all = system::process_mask().unwrap();
        for &core in &all {
            assert_eq!(pin_current_thread(core, &all), Pinned::To(core));
            unpin_current_thread();
            assert!(!is_narrowed());
            assert_eq!(system::thread_mask().unwrap(), all);
        }
    });
}

#[test]
fn the_pin_comes_back_also_by_a_panic() {
    on_a_fresh_thread(|| {
        let all = system::process_mask().unwrap();
        let core = all[0];
        let _ = pin_current_thread(core, &all);
        let wide = || {
            assert!(!is_narrowed());
            assert_eq!(system::thread_mask().unwrap(), all);
        };
        unpinned(|| {
            wide();
            unpinned(wide);
            wide();
        });
        assert_eq!(system::thread_mask().unwrap(), [core]);
        let ends = std::panic::catch_unwind(|| unpinned(|| std::panic::resume_unwind(Box::new(1))));
        assert!(ends.is_err() && is_narrowed());
        assert_eq!(system::thread_mask().unwrap(), [core]);
    });
}

/// The cores that the pool was once told of may be fewer than the process has by now.
#[test]
fn whoever_is_unpinned_has_at_least_the_cores_of_the_process() {
    on_a_fresh_thread(|| {
        let all = system::process_mask().unwrap();
        for wide in [&[][..], &[usize::MAX], &all[..1]] {
            let _ = pin_current_thread(all[0], wide);
            unpin_current_thread();
            assert_eq!(system::thread_mask().unwrap(), all);
        }
    });
}
