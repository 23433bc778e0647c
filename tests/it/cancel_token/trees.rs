//! Child tokens: a cancel goes down and never up, to any depth, and dropped children leave nothing
//! behind.

use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::thread;

use corepool::CancelToken;
use corepool::cancel::CancelReason;

use super::{Bell, because, poll};
use crate::support::{PATIENCE, within};

#[test]
fn a_cancel_goes_down_and_never_up() {
    let root = CancelToken::new();
    let (left, right) = (root.child(), root.child());
    let leaves = [left.child(), left.child(), right.child()];
    left.cancel_because("left");
    assert!(!root.is_cancelled() && !right.is_cancelled() && !leaves[2].is_cancelled());
    for token in [&left, &leaves[0], &leaves[1]] {
        assert_eq!(token.reason(), Some(because("left")));
    }
    root.cancel_because("root");
    assert_eq!(leaves[2].reason(), Some(because("root")));
    assert_eq!(leaves[0].reason(), Some(because("left")), "the first reason stays");
}

#[test]
fn a_child_of_a_cancelled_token_is_born_cancelled() {
    let token = CancelToken::new();
    token.cancel_because("early");
    let grandchild = token.child().child();
    assert_eq!(grandchild.reason(), Some(because("early")));
}

#[test]
fn a_cancel_reaches_grandchildren_whose_parents_were_dropped() {
    let root = CancelToken::new();
    let leaf = root.child().child().child();
    assert!(!leaf.is_cancelled());
    root.cancel();
    assert!(leaf.is_cancelled());
}

#[test]
fn children_that_go_do_not_disturb_those_that_stay() {
    let root = CancelToken::new();
    let mut children: Vec<_> = (0..1_000).map(|_| root.child()).collect();
    let mut number = 0;
    children.retain(|_| {
        number += 1;
        number % 3 == 0
    });
    children.extend((0..500).map(|_| root.child()));
    drop(children.drain(100..200));
    root.cancel();
    assert!(children.iter().all(CancelToken::is_cancelled));
}

const DEEP: usize = 100_000;

/// Builds a chain `DEEP` levels long. A test thread's stack has only about twenty bytes per level,
/// which is too few for a frame.
fn chain(root: &CancelToken) -> Vec<CancelToken> {
    let mut chain = vec![root.clone()];
    for _ in 0..DEEP {
        chain.push(chain.last().expect("it begins with the root").child());
    }
    chain
}

#[test]
fn a_chain_of_a_hundred_thousand_is_cancelled_whole() {
    within(PATIENCE, || {
        let root = CancelToken::new();
        let chain = chain(&root);
        let mut future = chain[DEEP].cancelled();
        let (bell, waker) = Bell::new();
        assert!(poll(&mut future, &waker).is_pending());
        root.cancel();
        assert_eq!(bell.rings(), 1);
        assert!(chain.iter().all(|token| token.reason() == Some(CancelReason::Asked)));
    });
}

#[test]
fn a_chain_of_a_hundred_thousand_held_by_its_last_is_cancelled_and_dropped() {
    within(PATIENCE, || {
        for cancels in [true, false] {
            let root = CancelToken::new();
            let last = chain(&root).pop().expect("it is not empty");
            if cancels {
                root.cancel();
            }
            assert_eq!(last.is_cancelled(), cancels);
            drop(root);
            // This is the last owner of the whole chain.
            drop(last);
        }
    });
}

#[test]
fn a_chain_dropped_from_either_end_goes() {
    within(PATIENCE, || {
        for from_the_root in [true, false] {
            let mut chain = chain(&CancelToken::new());
            if from_the_root {
                chain.reverse();
            }
            while chain.pop().is_some() {}
        }
    });
}

#[test]
fn children_born_while_the_parent_is_cancelled_are_cancelled() {
    within(PATIENCE, || {
        for _ in 0..500 {
            let root = CancelToken::new();
            let start = Arc::new(Barrier::new(3));
            let makers = [(); 2].map(|()| {
                let (root, start) = (root.clone(), Arc::clone(&start));
                thread::spawn(move || {
                    start.wait();
                    let kept: Vec<_> = (0..20).map(|_| root.child().child()).collect();
                    drop((0..20).map(|_| root.child()).collect::<Vec<_>>());
                    kept
                })
            });
            start.wait();
            root.cancel();
            for maker in makers {
                assert!(maker.join().unwrap().iter().all(CancelToken::is_cancelled));
            }
        }
    });
}

#[test]
fn who_is_woken_finds_the_whole_tree_cancelled() {
    within(PATIENCE, || {
        let root = CancelToken::new();
        let leaf = root.child().child();
        let found = Arc::new(std::sync::Mutex::new(None));
        let (_bell, waker) = Bell::that({
            let (found, leaf) = (Arc::clone(&found), leaf.clone());
            move || *found.lock().unwrap() = Some((leaf.reason(), leaf.child().is_cancelled()))
        });
        let mut future = root.cancelled();
        assert!(poll(&mut future, &waker).is_pending());
        root.cancel();
        assert_eq!(*found.lock().unwrap(), Some((Some(CancelReason::Asked), true)));
        assert_eq!(poll(&mut leaf.cancelled(), &waker), Poll::Ready(CancelReason::Asked));
    });
}
