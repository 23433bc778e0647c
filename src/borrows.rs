//! Borrows that must not compile, each with a twin that must. Built only for the doc tests.
//!
//! A task could outlive what it borrows: no code is forced to wait for its handle, and a future may
//! be forgotten. So a task owns what it needs, however it is spawned,
//!
//! ```compile_fail,E0373
//! let word = String::from("local");
//! corepool::spawn(|| word.len());
//! ```
//! ```
//! let word = String::from("local");
//! corepool::spawn(move || word.len()).join().unwrap();
//! ```
//! ```compile_fail,E0373
//! let word = String::from("local");
//! let permit = corepool::WorkerPool::global().try_reserve().unwrap();
//! permit.spawn(|| word.len());
//! ```
//! ```
//! let word = String::from("local");
//! let permit = corepool::WorkerPool::global().try_reserve().unwrap();
//! assert_eq!(permit.spawn(move || word.len()).join().unwrap(), 5);
//! ```
//! ```compile_fail,E0597
//! let word = String::from("local");
//! let borrowed = &word;
//! corepool::WorkerPool::global().spawn_batch([move || borrowed.len()]);
//! ```
//! ```
//! let word = String::from("local");
//! let set = corepool::WorkerPool::global().spawn_batch([move || word.len()]);
//! assert_eq!(set.map(Result::unwrap).sum::<usize>(), 5);
//! ```
//!
//! and the handle of a task that may borrow is not a future.
//!
//! ```compile_fail,E0277
//! let word = String::from("local");
//! corepool::scope(|s| pollster::block_on(s.spawn(|| word.len())).unwrap());
//! ```
//! ```
//! let word = String::from("local");
//! corepool::scope(|s| s.spawn(|| word.len()).join().unwrap());
//! ```
//!
//! A local variable of a scope's body does not outlive the body, so a closure must own it.
//!
//! ```compile_fail,E0373
//! corepool::scope(|s| {
//!     let local = String::from("local");
//!     s.spawn(|| local.len());
//! });
//! ```
//! ```
//! corepool::scope(|s| {
//!     let local = String::from("local");
//!     s.spawn(move || local.len());
//! });
//! ```
//!
//! The two closures of a join may not change the same variable.
//!
//! ```compile_fail,E0499
//! let mut sum = 0;
//! corepool::join(|| sum += 1, || sum += 2);
//! ```
//! ```
//! let (mut a, mut b) = (0, 0);
//! corepool::join(|| a += 1, || b += 2);
//! ```
//!
//! Neither may two closures of a scope.
//!
//! ```compile_fail,E0499
//! let mut sum = 0;
//! corepool::scope(|s| {
//!     s.spawn(|| sum += 1);
//!     s.spawn(|| sum += 2);
//! });
//! ```
//! ```
//! let (mut a, mut b) = (0, 0);
//! corepool::scope(|s| {
//!     s.spawn(|| a += 1);
//!     s.spawn(|| b += 2);
//! });
//! ```
//!
//! What a closure borrows cannot be changed while the scope is open.
//!
//! ```compile_fail,E0506
//! let mut word = String::from("a");
//! corepool::scope(|s| {
//!     s.spawn(|| word.len());
//!     word = String::new();
//! });
//! ```
//! ```
//! let mut word = String::from("a");
//! corepool::scope(|s| {
//!     s.spawn(|| word.len());
//! });
//! word = String::new();
//! # let _ = word;
//! ```
//!
//! The scope cannot escape.
//!
//! ```compile_fail,E0521
//! let mut out = None;
//! corepool::scope(|s| out = Some(s));
//! ```
//! ```
//! let mut out = None;
//! corepool::scope(|s| out = Some(s.spawn(|| 1).join().unwrap()));
//! # let _ = out;
//! ```
//!
//! Neither can a handle.
//!
//! ```compile_fail
//! let handle = corepool::scope(|s| s.spawn(|| 1));
//! ```
//! ```
//! let value = corepool::scope(|s| s.spawn(|| 1).join().unwrap());
//! # let _ = value;
//! ```
//!
//! A handle stays on its thread.
//!
//! ```compile_fail,E0277
//! corepool::scope(|s| {
//!     let handle = s.spawn(|| 1);
//!     s.spawn(move || handle.join().unwrap());
//! });
//! ```
//! ```
//! corepool::scope(|s| {
//!     let handle = s.spawn(|| 1);
//!     handle.join().unwrap();
//! });
//! ```
//!
//! Whatever moves to another thread must be able to: the closures of a join,
//!
//! ```compile_fail,E0277
//! let word = std::rc::Rc::new("a");
//! corepool::join(|| 1, || word.len());
//! ```
//! ```
//! let word = std::sync::Arc::new("a");
//! corepool::join(|| 1, || word.len());
//! ```
//!
//! its results,
//!
//! ```compile_fail,E0277
//! corepool::join(|| 1, || std::rc::Rc::new("a"));
//! ```
//! ```
//! corepool::join(|| 1, || std::sync::Arc::new("a"));
//! ```
//!
//! the closures of a scope,
//!
//! ```compile_fail,E0277
//! let word = std::rc::Rc::new("a");
//! corepool::scope(|s| {
//!     s.spawn(|| word.len());
//! });
//! ```
//! ```
//! let word = std::sync::Arc::new("a");
//! corepool::scope(|s| {
//!     s.spawn(|| word.len());
//! });
//! ```
//!
//! a closure that is installed,
//!
//! ```compile_fail,E0277
//! let word = std::rc::Rc::new("a");
//! corepool::WorkerPool::global().install(|| word.len());
//! ```
//! ```
//! let word = std::sync::Arc::new("a");
//! corepool::WorkerPool::global().install(|| word.len());
//! ```
//!
//! and a loop's items,
//!
//! ```compile_fail,E0277
//! let cells = [std::cell::Cell::new(1)];
//! corepool::for_each(&cells, |cell| cell.set(2));
//! ```
//! ```
//! let mut cells = [std::cell::Cell::new(1)];
//! corepool::for_each_mut(&mut cells, |cell| cell.set(2));
//! ```
//!
//! function,
//!
//! ```compile_fail,E0596
//! let mut sum = 0;
//! corepool::for_each(&[1, 2], |n| sum += n);
//! ```
//! ```
//! let sum = std::sync::atomic::AtomicI32::new(0);
//! corepool::for_each(&[1, 2], |n| {
//!     sum.fetch_add(*n, std::sync::atomic::Ordering::Relaxed);
//! });
//! ```
//!
//! and results.
//!
//! ```compile_fail,E0277
//! corepool::map(&[1], |n| std::rc::Rc::new(*n));
//! ```
//! ```
//! corepool::map(&[1], |n| std::sync::Arc::new(*n));
//! ```
//!
//! The closures of an outer scope cannot borrow from an inner scope.
//!
//! ```compile_fail,E0597
//! corepool::scope(|outer| {
//!     let word = String::from("inner");
//!     corepool::scope(|_inner| {
//!         outer.spawn(|| word.len());
//!     });
//! });
//! ```
//! ```
//! corepool::scope(|_outer| {
//!     let word = String::from("inner");
//!     corepool::scope(|inner| {
//!         inner.spawn(|| word.len());
//!     });
//! });
//! ```
//!
//! A handle cannot escape through a variable that existed before the scope.
//!
//! ```compile_fail,E0521
//! let mut handles = Vec::new();
//! corepool::scope(|s| handles.push(s.spawn(|| 1)));
//! ```
//! ```
//! corepool::scope(|s| {
//!     let mut handles = Vec::new();
//!     handles.push(s.spawn(|| 1));
//! });
//! ```
//!
//! A thread that is not joined inside the scope cannot use it.
//!
//! ```compile_fail,E0521
//! corepool::scope(|s| {
//!     std::thread::spawn(|| drop(s.spawn(|| 1)));
//! });
//! ```
//! ```
//! corepool::scope(|s| {
//!     std::thread::scope(|t| {
//!         t.spawn(|| drop(s.spawn(|| 1)));
//!     });
//! });
//! ```
//!
//! The result of a scope's closure must be able to move to another thread,
//!
//! ```compile_fail,E0277
//! corepool::scope(|s| {
//!     s.spawn(|| std::rc::Rc::new("a"));
//! });
//! ```
//! ```
//! corepool::scope(|s| {
//!     s.spawn(|| std::sync::Arc::new("a"));
//! });
//! ```
//!
//! and so must what a worker returns,
//!
//! ```compile_fail,E0277
//! corepool::WorkerPool::global().install(|| std::rc::Rc::new("a"));
//! ```
//! ```
//! corepool::WorkerPool::global().install(|| std::sync::Arc::new("a"));
//! ```
//!
//! and items that are changed.
//!
//! ```compile_fail,E0277
//! let mut words = [std::rc::Rc::new(1)];
//! corepool::for_each_mut(&mut words, |word| *word = std::rc::Rc::new(2));
//! ```
//! ```
//! let mut words = [std::sync::Arc::new(1)];
//! corepool::for_each_mut(&mut words, |word| *word = std::sync::Arc::new(2));
//! ```
//!
//! A loop's function is shared between threads, so what it borrows must be shareable. This holds
//! for both functions of a reduction.
//!
//! ```compile_fail,E0277
//! let seen = std::cell::Cell::new(0);
//! corepool::map(0..3, |n| seen.set(n));
//! ```
//! ```compile_fail,E0277
//! let seen = std::cell::Cell::new(0);
//! corepool::map_reduce(0..3, |n| n, |a, b| {
//!     seen.set(a);
//!     a + b
//! });
//! ```
//! ```
//! let seen = std::sync::Mutex::new(0);
//! corepool::map(0..3, |n| *seen.lock().unwrap() = n);
//! corepool::map_reduce(0..3, |n| n, |a, b| {
//!     *seen.lock().unwrap() = a;
//!     a + b
//! });
//! ```
//!
//! A mutable reference to an item cannot escape from its call.
//!
//! ```compile_fail
//! let mut numbers = [1, 2];
//! let kept = std::sync::Mutex::new(Vec::new());
//! corepool::for_each_mut(&mut numbers, |n| kept.lock().unwrap().push(n));
//! ```
//! ```
//! let mut numbers = [1, 2];
//! let kept = std::sync::Mutex::new(Vec::new());
//! corepool::for_each_mut(&mut numbers, |n| kept.lock().unwrap().push(*n));
//! ```
//!
//! Other crates cannot define what the items of a loop are.
//!
//! ```compile_fail,E0277
//! struct Mine;
//! corepool::for_each(Mine, |()| ());
//! ```
//! ```
//! struct Mine;
//! corepool::for_each(&[Mine], |Mine| ());
//! ```
#![forbid(unsafe_code)]
