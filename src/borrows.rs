//! Borrows that must not pass, each with a twin that must; only built for the doc tests.
//!
//! What a task borrowed could be gone before the task: nobody has to wait for its handle, and a
//! future may be forgotten. So a task owns what it needs, however it is spawned,
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
//! let future = corepool::WorkerPool::global().spawn_async(|| word.len());
//! ```
//! ```
//! let word = String::from("local");
//! let future = corepool::WorkerPool::global().spawn_async(move || word.len());
//! assert_eq!(pollster::block_on(future).unwrap().join().unwrap(), 5);
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
//! and what may borrow is no future.
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
//! What a body makes does not outlive it: a closure must own it.
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
//! Two closures may not change one thing.
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
//! Nor may two of a scope.
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
//! What a closure borrows is not changed while the scope is open.
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
//! The scope does not get out.
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
//! Nor does a handle.
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
//! What moves to another thread must be able to: a join's closures,
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
//! a scope's closures,
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
//! what is installed,
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
//! An inner scope's things do not go to the outer one's closures.
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
//! A handle does not get out by way of what was there before the scope.
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
//! A thread that nobody joins can't have the scope.
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
//! What a scope's closure gives must be able to move,
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
//! and what comes back from a worker,
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
//! A loop's function is shared: what it borrows must be able to be, in both functions of a
//! reduction.
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
//! An item that is changed does not get out of its call.
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
//! Nobody else can say what the items of a loop are.
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
