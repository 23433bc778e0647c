//! Sets of tasks in a program: which results may come out, and when one must.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use corepool::TaskSet;

use super::body::Value;
use super::book::{At, Book};
use super::ends::How;
use super::handles::{Given, read};
use super::program::Program;

#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) set: TaskSet<Value>,
    /// The members whose result has not come out, as far as is known.
    pub(crate) members: Vec<usize>,
    /// Results that came out without naming their task. Each belongs to one of the members.
    pub(crate) unnamed: Vec<How>,
    pub(crate) cancels: bool,
}

/// Records a result of one of these members. Returns which member, if the result names it.
pub(crate) fn name(book: &mut Book, members: &[usize], given: Given) -> Result<usize, How> {
    let (how, from) = read(given);
    let Some(from) = from else {
        let is_possible = members.iter().any(|id| book.ends(*id).has_how(how));
        assert!(is_possible, "none of {members:?} may be {how:?}");
        return Err(how);
    };
    let whose = members.iter().find(|id| book.is_from(**id, how, &from));
    let whose = *whose.unwrap_or_else(|| panic!("{from} came out of {members:?}: {book:#?}"));
    book.saw(whose, how, Some(&from));
    Ok(whose)
}

impl Set {
    fn left(&self) -> usize {
        self.members.len() - self.unnamed.len()
    }

    /// The number of results that are certainly ready, and the greatest possible number.
    fn bounds(&self, book: &Book) -> (usize, usize) {
        let count =
            |fits: fn(At) -> bool| self.members.iter().filter(|id| fits(book.of(**id).at)).count();
        let settled = count(|at| at == At::Settled);
        let most = settled + count(|at| at == At::Loose);
        (settled.saturating_sub(self.unnamed.len()), most - self.unnamed.len().min(most))
    }

    fn took(&mut self, book: &mut Book, given: Given) {
        match name(book, &self.members, given) {
            Ok(id) => self.members.retain(|member| *member != id),
            Err(how) => self.unnamed.push(how),
        }
    }

    /// Takes all remaining results after the pool has ended.
    pub(crate) fn drain(mut self, book: &mut Book) {
        assert_eq!(self.set.len(), self.left());
        while let Some(given) = self.set.next() {
            self.took(book, given);
        }
        assert_eq!(self.left(), 0);
        for how in [How::Cancelled, How::Expired, How::Rejected] {
            let count = self.unnamed.iter().filter(|unnamed| **unnamed == how).count();
            let ends = || self.members.iter().map(|id| book.ends(*id));
            let least = ends().filter(|ends| ends.only_how() == Some(how)).count();
            let most = ends().filter(|ends| ends.has_how(how)).count();
            assert!((least..=most).contains(&count), "{count} {how:?} of {least} to {most}");
        }
    }
}

impl Program {
    pub(crate) fn make_set(&mut self) {
        let fresh = self.sets.is_empty() || self.random.bool();
        let mut set = if fresh {
            let cancels = self.random.u8(..3) == 0;
            let set = TaskSet::new();
            let set = if cancels { set.cancel_on_drop() } else { set };
            Set { set, members: Vec::new(), unnamed: Vec::new(), cancels }
        } else {
            self.take_set()
        };
        for _ in 0..self.random.usize(..6) {
            let Some((id, task)) = self.take_handle() else { break };
            set.set.push(task);
            set.members.push(id);
        }
        self.sets.push(set);
    }

    fn take_set(&mut self) -> Set {
        self.sets.swap_remove(self.random.usize(..self.sets.len()))
    }

    pub(crate) fn use_set(&mut self) {
        if self.sets.is_empty() {
            return;
        }
        let mut set = self.take_set();
        match self.random.u8(..8) {
            0 => {
                set.set.cancel_all();
                self.cancel_members(&set);
            }
            1 => return self.drop_set(set),
            _ => {
                for _ in 0..self.random.usize(1..5) {
                    self.take_next(&mut set);
                }
            }
        }
        assert_eq!((set.set.len(), set.set.is_empty()), (set.left(), set.left() == 0));
        self.sets.push(set);
    }

    fn take_next(&mut self, set: &mut Set) {
        let (least, most) = set.bounds(&self.book);
        let may_wait = !self.is_held() || least > 0 || set.left() == 0;
        let given = match self.random.u8(..5) {
            0 if may_wait => set.set.next(),
            1 if may_wait => pollster::block_on(set.set.next_async()),
            2 => {
                let mut next = pin!(set.set.next_async());
                match next.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(given) => given,
                    Poll::Pending => None,
                }
            }
            3 => {
                let time = Duration::from_nanos(self.random.u64(..200_000));
                set.set.next_timeout(time)
            }
            _ => set.set.try_next(),
        };
        match given {
            Some(given) => {
                assert!(most > 0, "a result came out of tasks that have none: {set:?}");
                set.took(&mut self.book, given);
            }
            None => assert_eq!(least, 0, "no result came out: {set:?} {:#?}", self.book),
        }
    }

    fn drop_set(&mut self, set: Set) {
        if set.cancels {
            self.drop_and_cancel(set);
        } else {
            let Set { set, members, .. } = set;
            drop(set);
            members.iter().for_each(|id| self.book.drop_handle(*id));
            self.note_settled_outside();
        }
    }

    fn drop_and_cancel(&mut self, mut set: Set) {
        drop(std::mem::take(&mut set.set));
        // Dropping the empty set that was left behind has no effect.
        self.cancel_members(&set);
    }

    fn cancel_members(&mut self, set: &Set) {
        set.members.iter().for_each(|id| self.book.cancel(*id, None));
        self.note_settled_outside();
    }
}
