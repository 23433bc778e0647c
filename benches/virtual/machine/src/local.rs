//! Thread-locals.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::world::with;

/// The value is gone because its thread is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessError;

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the thread-local's thread ends")
    }
}

impl std::error::Error for AccessError {}

/// A value for each thread.
#[derive(Debug)]
pub struct LocalKey<T: 'static> {
    number: AtomicUsize,
    make: fn() -> T,
}

impl<T: 'static> LocalKey<T> {
    /// Called by [`thread_local!`](crate::thread_local).
    pub const fn new(make: fn() -> T) -> Self {
        Self { number: AtomicUsize::new(0), make }
    }

    pub fn with<R>(&'static self, look: impl FnOnce(&T) -> R) -> R {
        self.try_with(look).expect("a thread-local of a thread that goes on")
    }

    /// Outside a machine each access creates a new value.
    pub fn try_with<R>(&'static self, look: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        match self.mine()? {
            Some(value) => Ok(look(value.downcast_ref().expect("made by this key"))),
            None => Ok(look(&(self.make)())),
        }
    }

    fn mine(&'static self) -> Result<Option<Rc<dyn Any>>, AccessError> {
        let number = self.number();
        let found = with(|world| {
            let me = world.me();
            if me.locals_are_gone {
                return Err(AccessError);
            }
            Ok(me.locals.get(number).cloned().flatten())
        });
        match found {
            None => Ok(None),
            Some(Err(gone)) => Err(gone),
            Some(Ok(Some(value))) => Ok(Some(value)),
            Some(Ok(None)) => {
                let value: Rc<dyn Any> = Rc::new((self.make)());
                with(|world| {
                    let locals = &mut world.me().locals;
                    locals.resize_with(locals.len().max(number + 1), || None);
                    locals[number] = Some(Rc::clone(&value));
                });
                Ok(Some(value))
            }
        }
    }

    fn number(&self) -> usize {
        static NUMBERS: AtomicUsize = AtomicUsize::new(0);
        if self.number.load(Ordering::Relaxed) == 0 {
            let number = NUMBERS.fetch_add(1, Ordering::Relaxed) + 1;
            self.number.store(number, Ordering::Relaxed);
        }
        self.number.load(Ordering::Relaxed)
    }
}

impl<T: 'static> LocalKey<Cell<T>> {
    pub fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T: 'static> LocalKey<RefCell<T>> {
    pub fn with_borrow<R>(&'static self, look: impl FnOnce(&T) -> R) -> R {
        self.with(|cell| look(&cell.borrow()))
    }

    pub fn with_borrow_mut<R>(&'static self, look: impl FnOnce(&mut T) -> R) -> R {
        self.with(|cell| look(&mut cell.borrow_mut()))
    }

    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }

    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }
}

/// As in the standard library.
#[macro_export]
macro_rules! thread_local {
    () => {};
    ($(#[$doc:meta])* $vis:vis static $name:ident: $type:ty = const $value:block $(; $($rest:tt)*)?) => {
        $(#[$doc])* $vis static $name: $crate::local::LocalKey<$type> =
            $crate::local::LocalKey::new(|| $value);
        $($crate::thread_local!($($rest)*);)?
    };
    ($(#[$doc:meta])* $vis:vis static $name:ident: $type:ty = $value:expr $(; $($rest:tt)*)?) => {
        $(#[$doc])* $vis static $name: $crate::local::LocalKey<$type> =
            $crate::local::LocalKey::new(|| $value);
        $($crate::thread_local!($($rest)*);)?
    };
}
