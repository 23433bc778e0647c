//! The sizes of the types that are passed around most. `allocations.rs` tests how much is allocated
//! for a task.

use std::mem::{align_of, size_of};

use std::sync::atomic::{AtomicU8, AtomicU64};

use corepool::cancel::Cancelled;
use corepool::errors::{PanicPayload, Refusal};
use corepool::{CancelToken, SharedArray, TaskError, TaskHandle, WorkerId};

const POINTER: usize = size_of::<usize>();

#[test]
fn a_handle_is_one_pointer_whatever_it_gives() {
    assert_eq!(size_of::<TaskHandle<()>>(), POINTER);
    assert_eq!(size_of::<TaskHandle<u64>>(), POINTER);
    assert_eq!(size_of::<TaskHandle<[u8; 4096]>>(), POINTER);
    assert_eq!(align_of::<TaskHandle<u128>>(), POINTER);
}

#[test]
fn a_workers_number_is_a_number() {
    assert_eq!(size_of::<WorkerId>(), POINTER);
    assert!(size_of::<Option<WorkerId>>() <= 2 * POINTER);
}

#[test]
fn a_result_costs_one_word_beside_its_value() {
    assert!(size_of::<TaskError>() <= 2 * POINTER);
    assert!(size_of::<Result<u64, TaskError>>() <= 16);
    assert!(size_of::<Result<(), TaskError>>() <= 2 * POINTER);
    assert_eq!(size_of::<PanicPayload>(), POINTER);
    assert_eq!(size_of::<Cancelled>(), 0);
    // It is as wide as the tag of a `Result<T, TaskError>`; see its definition.
    assert_eq!(size_of::<Refusal>(), POINTER);
}

#[test]
fn a_shared_array_is_a_slice_and_its_owner() {
    assert_eq!(size_of::<SharedArray<AtomicU8>>(), 3 * POINTER);
    assert_eq!(size_of::<Option<SharedArray<AtomicU64>>>(), 3 * POINTER);
}

#[test]
fn a_token_is_one_pointer() {
    assert_eq!(size_of::<CancelToken>(), POINTER);
    assert_eq!(size_of::<Option<CancelToken>>(), POINTER);
}
