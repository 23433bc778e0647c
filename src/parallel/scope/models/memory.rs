//! Loom models of the counts by which a chunk of jobs is kept.

use core::ptr::NonNull;

use loom::thread;

use super::super::arena::{self, Arena, Chunk};
use crate::base::sync::explore;

/// A piece of a chunk, on its way to another thread.
struct Piece(NonNull<()>);

// SAFETY: its chunk counts it until it is freed, so the chunk exists.
unsafe impl Send for Piece {}

/// `ListedJob::send_away` does nothing to a chunk.
fn send_away(pieces: &[NonNull<()>]) -> Vec<Piece> {
    pieces.iter().map(|piece| Piece(*piece)).collect()
}

/// `arena::free_at_home`, on this arena.
fn free_at_home(arena: &Arena, piece: NonNull<()>) {
    let chunk = Chunk::of(piece);
    // SAFETY: the chunk exists, because it still has this piece.
    if unsafe { chunk.as_ref() }.free_one() {
        arena.empty(chunk);
    }
}

fn free_elsewhere(pieces: Vec<Piece>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for Piece(piece) in pieces {
            // SAFETY: it was sent away, and is freed once.
            unsafe { arena::free_away(piece) };
        }
    })
}

const SIZE: usize = 64;

/// Fills the current chunk, so that the last piece is cut from another chunk.
fn fill(arena: &Arena, first: NonNull<()>) -> Vec<NonNull<()>> {
    let mut pieces = Vec::new();
    loop {
        let piece = arena.cut(16 << 10);
        pieces.push(piece);
        if Chunk::of(piece) != Chunk::of(first) {
            return pieces;
        }
    }
}

/// The last thread frees the chunk: one of the others, or the one that ends.
#[test]
fn a_thread_ends_while_jobs_of_its_are_away() {
    explore(|| {
        let arena = Arena::new();
        let pieces = [arena.cut(SIZE), arena.cut(SIZE)];
        let mut away = send_away(&pieces);
        let others = [vec![away.remove(0)], away].map(free_elsewhere);
        drop(arena);
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

/// One piece stays on its thread. The chunk starts from the beginning only if the piece that went
/// away has been freed.
#[test]
fn a_chunk_begins_anew_when_the_last_is_back() {
    explore(|| {
        let arena = Arena::new();
        let (goes, stays) = (arena.cut(SIZE), arena.cut(SIZE));
        let other = free_elsewhere(send_away(&[goes]));
        free_at_home(&arena, stays);
        let next = arena.cut(SIZE);
        free_at_home(&arena, next);
        drop(arena);
        other.join().unwrap();
    });
}

/// The last job of a full chunk goes away while others are freed: its own thread has nothing to do
/// with the chunk any more.
#[test]
fn the_last_job_at_home_goes_away() {
    explore(|| {
        let arena = Arena::new();
        let first = arena.cut(SIZE);
        let mut rest = fill(&arena, first);
        let elsewhere = rest.pop().expect("the last lies in the next chunk");
        let others = [rest, vec![first]].map(|pieces| free_elsewhere(send_away(&pieces)));
        free_at_home(&arena, elsewhere);
        drop(arena);
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

/// The last job that stayed in a full chunk is freed while the other threads free the rest.
#[test]
fn a_full_chunk_is_kept_or_let_go() {
    explore(|| {
        let arena = Arena::new();
        let first = arena.cut(SIZE);
        let mut rest = fill(&arena, first);
        let elsewhere = rest.pop().expect("the last lies in the next chunk");
        let other = free_elsewhere(send_away(&rest));
        free_at_home(&arena, first);
        free_at_home(&arena, elsewhere);
        // These pieces come from the chunk that was kept, if it was kept.
        let again = fill(&arena, elsewhere);
        again.into_iter().for_each(|piece| free_at_home(&arena, piece));
        drop(arena);
        other.join().unwrap();
    });
}
